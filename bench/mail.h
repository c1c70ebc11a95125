/* SPDX-License-Identifier: MIT
 *
 * Synthetic mails: the same (seed, number) gives the same octets, different ones share no body. Canonical CRLF, no
 * line begins with a dot.
 */
#ifndef BENCH_MAIL_H
#define BENCH_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mail_shape {
	size_t size;	 /* octets of the whole mail, about */
	bool attachment; /* multipart/mixed with a short text and a base64 attachment that fills the size */
	const char *from, *to;
};
struct mail {
	char *data;
	size_t len, cap;
};

/* Makes mail number with the header "X-Bench-Id: id" into m, whose memory is used again. */
void mail_make(struct mail *m, const struct mail_shape *shape, const char *id, uint64_t seed, uint64_t number);

#endif
