/* SPDX-License-Identifier: MIT
 *
 * The mail with the day's head: what it is, what to do with it. Japanese and English. Pure.
 */
#ifndef NOTIFY_HEAD_TEXT_H
#define NOTIFY_HEAD_TEXT_H

#include "core/arena.h"
#include "core/bytes.h"

#define HEAD_FILE_SIZE 48

struct head_facts {
	uint64_t size;
	int64_t at_us;
	const char *checkpoint;	  /* the signed note, as it is */
	const char *verifier_key; /* C2SP: name+hash+key */
};
struct head_mail {
	const char *subject, *text;
	const char *file; /* name of the attachment, which is the checkpoint */
};
/* language: "ja" Japanese first, anything else English first; both are always there. Strings lie in a. */
struct head_mail head_text(const struct head_facts *f, const char *language, struct arena *a);

#endif
