/* SPDX-License-Identifier: MIT
 *
 * Header blocks of canonical (CRLF) octets: fields with exact ranges, and the structured values of MIME (RFC 2045 5.1,
 * RFC 2231). Nothing is decoded here. Readers of mail differ most in how they take broken headers, so every oddity
 * that could hide or forge a MIME field is reported.
 */
#ifndef FACTS_HEADER_H
#define FACTS_HEADER_H

#include "core/arena.h"
#include "core/bytes.h"

struct header_field {
	struct bytes name;  /* without white space before the colon */
	struct bytes whole; /* folding and the final CRLF included, which the last field of a cut part lacks */
	struct bytes value; /* after the colon, without the final CRLF; folded */
};

struct header {
	struct header_field *v;
	size_t n;
	size_t length;	 /* octets up to the empty line or the end */
	size_t body;	 /* offset of the body: after the empty line, or the end */
	const char *odd; /* what two readers may read differently, or NULL */
	bool too_many;
};

void header_parse(struct bytes b, size_t fields_max, struct arena *a, struct header *out_r);
/* The first field with that name, or NULL. */
const struct header_field *header_find(const struct header *h, const char *name);
size_t header_count(const struct header *h, const char *name);
/* Without CRLF of folding, trimmed. */
struct bytes header_unfold(struct arena *a, struct bytes value);

struct header_param {
	struct bytes name;  /* as written, without RFC 2231's "*0*" */
	struct bytes value; /* quotes and backslashes resolved; percent-encoding not */
	int section;	    /* RFC 2231 "*0", -1: none */
	bool extended;	    /* RFC 2231 "*": charset and percent-encoding */
	bool quoted, escaped;
};

#define HEADER_PARAMS_MAX 32

struct header_value {
	struct bytes token; /* "text/plain", "attachment"; as written, without white space */
	struct header_param params[HEADER_PARAMS_MAX];
	size_t n_params;
	const char *odd; /* what two readers may read differently, or NULL */
};

/* Type or disposition with parameters. */
void header_parse_value(struct arena *a, struct bytes value, struct header_value *out_r);
const struct header_param *header_param(const struct header_value *v, const char *name);
size_t header_param_count(const struct header_value *v, const char *name);

#endif
