/* SPDX-License-Identifier: MIT
 *
 * Secrets live in struct secret and are wiped when freed; they never reach a log, a struct err or a bus message that
 * is not made for them.
 */
#ifndef CRYPT_SECRET_H
#define CRYPT_SECRET_H

#include "core/bytes.h"
#include "core/rc.h"

struct secret {
	uint8_t *p; /* never NULL after success */
	size_t n;
};
/* A whole file of at most max octets; a final newline is cut. RC_INVALID if others can read it (mode & 077). */
enum rc secret_from_file(const char *path, size_t max, struct secret *out_r, struct err *e) MUST_CHECK;
void secret_done(struct secret *s); /* wipes; NULL and empty are fine */
void secret_wipe(void *p, size_t n);
static inline struct bytes
secret_bytes(const struct secret *s)
{
	return (struct bytes){s->p, s->n};
}

#endif
