/* SPDX-License-Identifier: MIT */
#include "record/entry.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"

#define LEAF_VERSION 1

static int
dump_to(const char *p, size_t n, void *out)
{
	buf_add(out, p, n);
	return 0;
}

/* An object with sorted members, whatever order and spaces it came with. */
static void
add_detail(struct buf *out, struct bytes detail)
{
	if (detail.n == 0) {
		buf_add_str(out, "null");
		return;
	}
	if (detail.n > RECORD_DETAIL_MAX) {
		buf_addf(out, "{\"too_long\":%zu}", detail.n);
		return;
	}
	json_t *v = json_loadb((const char *)detail.p, detail.n, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(v))
		json_dump_callback(v, dump_to, out, JSON_COMPACT | JSON_SORT_KEYS);
	else
		buf_add_json(out, detail);
	json_decref(v);
}

static void
add_uuid(struct buf *out, const char *name, const struct uuid *u)
{
	char text[UUID_STR_SIZE];
	uuid_format(u, text);
	buf_addf(out, "\"%s\":\"%s\"", name, text);
}

static void
add_text(struct buf *out, const char *name, struct bytes v)
{
	buf_addf(out, ",\"%s\":", name);
	buf_add_json(out, v);
}

void
record_entry_write(const struct record_entry *r, struct buf *out)
{
	char at[CLOCK_RFC3339_SIZE];
	clock_rfc3339(r->at_us, at);
	buf_add_str(out, "{");
	add_uuid(out, "id", &r->id);
	add_text(out, "at", bytes_str(at));
	add_text(out, "service", bytes_str(r->service));
	add_text(out, "action", bytes_str(r->action));
	add_text(out, "outcome", bytes_str(r->outcome));
	add_text(out, "actor", r->actor);
	add_text(out, "source", r->source);
	buf_add_str(out, ",");
	add_uuid(out, "subject", &r->subject);
	buf_addf(out, ",\"number\":%d,\"detail\":", r->number);
	add_detail(out, r->detail);
	add_text(out, "trace", bytes_str(r->trace != NULL ? r->trace : ""));
	buf_add_str(out, "}");
}

void
record_leaf(const uint8_t salt[RECORD_SALT_SIZE], struct bytes record, struct merkle_hash *out)
{
	uint8_t input[1 + MERKLE_SIZE] = {LEAF_VERSION};
	struct merkle_hash h;
	merkle_hmac(salt, record, &h);
	memcpy(input + 1, h.b, MERKLE_SIZE);
	merkle_leaf(bytes_of(input, sizeof(input)), out);
}

/* --- back ------------------------------------------------------------------------------------------------------ */
/* "2026-11-22T03:04:05.678901Z" */
static bool
parse_time(const char *s, int64_t *us_r)
{
	struct tm tm = {0};
	static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
	if (s == NULL || strlen(s) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < sizeof(form) - 1; i++)
		if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return false;
	tm.tm_year = (int)strtol(s, NULL, 10) - 1900;
	tm.tm_mon = (int)strtol(s + 5, NULL, 10) - 1;
	tm.tm_mday = (int)strtol(s + 8, NULL, 10);
	tm.tm_hour = (int)strtol(s + 11, NULL, 10);
	tm.tm_min = (int)strtol(s + 14, NULL, 10);
	tm.tm_sec = (int)strtol(s + 17, NULL, 10);
	*us_r = (int64_t)timegm(&tm) * 1000000 + strtol(s + 20, NULL, 10);
	return true;
}

static const char *
take_text(const json_t *o, const char *name, struct arena *a, struct bytes *bytes_r)
{
	const json_t *v = json_object_get(o, name);
	if (!json_is_string(v))
		return NULL;
	size_t n = json_string_length(v);
	char *s = arena_strndup(a, json_string_value(v), n);
	if (bytes_r != NULL)
		*bytes_r = bytes_of(s, n);
	return s;
}

static bool
take_uuid(const json_t *o, const char *name, struct uuid *out_r)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s != NULL && uuid_parse(s, out_r);
}

static bool
take_entry(const json_t *o, struct arena *a, struct record_entry *r)
{
	const json_t *number = json_object_get(o, "number"), *detail = json_object_get(o, "detail");
	if (!json_is_object(o) || !take_uuid(o, "id", &r->id) || !take_uuid(o, "subject", &r->subject) ||
	    !parse_time(json_string_value(json_object_get(o, "at")), &r->at_us) || !json_is_integer(number) ||
	    json_integer_value(number) < INT32_MIN || json_integer_value(number) > INT32_MAX)
		return false;
	r->number = (int32_t)json_integer_value(number);
	r->service = take_text(o, "service", a, NULL);
	r->action = take_text(o, "action", a, NULL);
	r->outcome = take_text(o, "outcome", a, NULL);
	r->trace = take_text(o, "trace", a, NULL);
	if (r->service == NULL || r->action == NULL || r->outcome == NULL || r->trace == NULL ||
	    take_text(o, "actor", a, &r->actor) == NULL || take_text(o, "source", a, &r->source) == NULL)
		return false;
	if (detail != NULL && !json_is_null(detail)) {
		char *text = json_dumps(detail, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
		if (text == NULL)
			return false;
		r->detail = arena_bytes(a, bytes_str(text));
		free(text);
	}
	return true;
}

enum rc
record_entry_parse(struct bytes json, struct arena *a, struct record_entry *out_r, struct err *e)
{
	struct record_entry r = {0};
	if (json.n > RECORD_MAX)
		return err_set(e, RC_LIMIT, "a record of more than %u octets", RECORD_MAX);
	json_t *o = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	bool ok = take_entry(o, a, &r);
	json_decref(o);
	if (!ok)
		return err_set(e, RC_INVALID, "not a record");
	*out_r = r;
	return RC_OK;
}
