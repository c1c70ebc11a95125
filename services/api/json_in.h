/* SPDX-License-Identifier: MIT
 *
 * JSON that strangers send: strict parsing (UTF-8, no duplicate names, bounded depth) and typed reading that knows the
 * JSON pointer of what it looks at, so that a wrong value is named exactly. The first problem is kept, the rest of the
 * reading goes on with empty values and is checked once at the end by json_in_done().
 */
#ifndef API_JSON_IN_H
#define API_JSON_IN_H

#include <jansson.h>

#include "core/arena.h"
#include "core/bytes.h"

#define JSON_IN_DEPTH_MAX 32
#define JSON_IN_ANY	  SIZE_MAX /* values: as many as there are, for texts of our own */

/* Any JSON value (RFC 8259), never NULL on RC_OK. RC_INVALID: it is none, in which line and why; also nested too deep,
 * or a number that no double or int64 holds. RC_CONFLICT: JSON, but with a name twice or with NUL in a name. RC_LIMIT:
 * more than values_max values (an empty array or object counts as two), found before anything is built of them. */
enum rc json_in_parse(struct bytes text, size_t values_max, json_t **out_r, struct err *e) MUST_CHECK;

struct json_in {
	struct arena *arena;
	bool failed;
	const char *pointer; /* of the first problem */
	const char *what;
};

/* Where we are: an object and the pointer to it ("" is the document). */
struct json_at {
	struct json_in *in;
	const json_t *value;
	const char *pointer;
};

struct json_at json_in_root(struct json_in *in, struct arena *a, const json_t *document);
/* Is this an object whose members are all in names (NULL-terminated)? Notes a problem if not. */
void json_in_object(struct json_at at, const char *const *names);
bool json_in_has(struct json_at at, const char *name);
/* A member, to go deeper; value NULL if absent. */
struct json_at json_in_member(struct json_at at, const char *name);
/* Elements of an array member: 0 if absent; more than max is a problem. */
size_t json_in_array(struct json_at at, const char *name, size_t max, struct json_at *array_r);
struct json_at json_in_element(struct json_at array, size_t i);

/* Values. A required one that is absent, another type, or a string over max octets or with NUL is a problem. "" / 0 /
 * false when absent or wrong. Strings are UTF-8 and NUL-terminated. */
struct bytes json_in_string(struct json_at at, const char *name, bool required, size_t max);
/* The value itself is the string. */
struct bytes json_in_string_here(struct json_at at, size_t max);
int64_t json_in_int(struct json_at at, const char *name, int64_t min, int64_t max);
bool json_in_bool(struct json_at at, const char *name);

/* Note a problem of the caller's own finding. */
void json_in_fail(struct json_at at, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
