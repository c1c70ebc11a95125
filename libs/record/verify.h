/* SPDX-License-Identifier: MIT
 *
 * The offline verifier: reads an export line by line, in memory that does not grow with it, and says what is wrong with
 * it and from which entry on, or what it cannot exclude. Knows no network and no database. One thread per verifier.
 */
#ifndef RECORD_VERIFY_H
#define RECORD_VERIFY_H

#include <stdio.h>

#include "record/line.h"

enum verify_kind {
	VERIFY_GOOD,
	VERIFY_EDIT,	   /* an entry is not the one that was signed */
	VERIFY_DELETION,   /* entries are missing inside */
	VERIFY_INSERTION,  /* entries too many */
	VERIFY_REORDERING, /* an entry stands in another's place */
	VERIFY_TRUNCATION, /* entries are missing at the end */
	VERIFY_REWRITE,	   /* another log than the one an earlier head or the given key belongs to */
	VERIFY_FORK,	   /* the same beginning as an earlier head, then another history */
	VERIFY_UNCLEAR,	   /* it cannot be told: not an export, a head of another log */
};
const char *verify_kind_str(enum verify_kind k);

struct verify_result {
	enum verify_kind kind;
	uint64_t first; /* index of the first entry that is not as it was, or from which on that is so */
	char text[512]; /* for people */
	/* What was looked at. */
	char origin[NOTE_NAME_MAX + 1];
	uint64_t size, entries, erased, heads_inside, heads_earlier;
	uint64_t known; /* size of the largest earlier head that fits */
	bool filtered, key_given;
};

#define VERIFY_HEADS_MAX 1024

struct verifier;
/* key NULL: the one the export names. */
struct verifier *verifier_new(const struct note_key *key);
void verifier_free(struct verifier **v);
/* An earlier head, before the first line. RC_INVALID: not a signed note; RC_LIMIT: more than VERIFY_HEADS_MAX. */
enum rc verifier_head(struct verifier *v, struct bytes note, struct err *e) MUST_CHECK;
/* Lines in order, without their newline. False: no need to go on, the end may be told. */
bool verifier_line(struct verifier *v, struct bytes line);
/* complete: the last line ended in a newline. */
void verifier_end(struct verifier *v, bool complete, struct verify_result *out_r);

/* The command: EXPORT [--head FILE]... [--key KEY|FILE] [--quiet]; argv[0] is its name in messages. "-" is standard
 * input. Returns the exit code: 0 good, 1 manipulated, 2 cannot be told or wrong usage. */
int record_verify_main(int argc, char **argv, FILE *out, FILE *err);

#endif
