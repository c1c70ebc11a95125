/* SPDX-License-Identifier: MIT */
#include "json_out.h"

#include <inttypes.h>

#include "core/clock.h"
#include "json_in.h"

static void
name_it(struct json_out *o, const char *name)
{
	if (o->comma)
		buf_add(o->b, ",", 1);
	o->comma = true;
	if (name == NULL)
		return;
	buf_add_json(o->b, bytes_str(name));
	buf_add(o->b, ":", 1);
}

void
json_out_open(struct json_out *o, const char *name, char bracket)
{
	name_it(o, name);
	buf_add(o->b, &bracket, 1);
	o->comma = false;
}

void
json_out_close(struct json_out *o, char bracket)
{
	buf_add(o->b, &bracket, 1);
	o->comma = true;
}

void
json_out_bytes(struct json_out *o, const char *name, struct bytes s)
{
	name_it(o, name);
	buf_add_json(o->b, s);
}

void
json_out_str(struct json_out *o, const char *name, const char *s)
{
	json_out_bytes(o, name, bytes_str(s));
}

void
json_out_int(struct json_out *o, const char *name, int64_t v)
{
	name_it(o, name);
	buf_addf(o->b, "%" PRId64, v);
}

void
json_out_bool(struct json_out *o, const char *name, bool v)
{
	name_it(o, name);
	buf_add_str(o->b, v ? "true" : "false");
}

void
json_out_null(struct json_out *o, const char *name)
{
	name_it(o, name);
	buf_add_str(o->b, "null");
}

void
json_out_time(struct json_out *o, const char *name, int64_t wall_us)
{
	if (wall_us == 0) {
		json_out_null(o, name);
		return;
	}
	char text[CLOCK_RFC3339_SIZE];
	clock_rfc3339(wall_us, text);
	json_out_str(o, name, text);
}

void
json_out_uuid(struct json_out *o, const char *name, const struct uuid *u)
{
	char text[UUID_STR_SIZE];
	uuid_format(u, text);
	json_out_str(o, name, text);
}

void
json_out_raw(struct json_out *o, const char *name, struct bytes json)
{
	struct err e;
	json_t *checked = NULL;
	if (json.n == 0 || json_in_parse(json, JSON_IN_ANY, &checked, &e) != RC_OK) {
		json_out_null(o, name);
		return;
	}
	json_decref(checked);
	name_it(o, name);
	buf_add_bytes(o->b, json);
}
