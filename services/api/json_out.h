/* SPDX-License-Identifier: MIT
 *
 * JSON that we send, written straight into the response. Octets that are not UTF-8 become U+FFFD; times are RFC 3339,
 * and absent (NULL) when 0. Braces are the caller's to balance: json_out_open('{') ... json_out_close('}').
 */
#ifndef API_JSON_OUT_H
#define API_JSON_OUT_H

#include "core/bytes.h"
#include "core/id.h"

struct json_out {
	struct buf *b;
	bool comma; /* something stands before at this level */
};

/* name NULL: an element of an array, or the document. */
void json_out_open(struct json_out *o, const char *name, char bracket);
void json_out_close(struct json_out *o, char bracket);
void json_out_str(struct json_out *o, const char *name, const char *s);
void json_out_bytes(struct json_out *o, const char *name, struct bytes s);
void json_out_int(struct json_out *o, const char *name, int64_t v);
void json_out_bool(struct json_out *o, const char *name, bool v);
void json_out_null(struct json_out *o, const char *name);
void json_out_time(struct json_out *o, const char *name, int64_t wall_us);
void json_out_uuid(struct json_out *o, const char *name, const struct uuid *u);
/* Text that is a JSON value already; checked, and null if it is not one. */
void json_out_raw(struct json_out *o, const char *name, struct bytes json);

#endif
