/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <string.h>
#include <time.h>

#include "conditional.h"
#include "json_in.h"

struct json_out
op_begin(struct api_response *w)
{
	buf_reset(&w->body);
	struct json_out o = {.b = &w->body};
	json_out_open(&o, NULL, '{');
	return o;
}

enum rc
op_end(struct json_out *o, struct api_response *w, int status)
{
	json_out_close(o, '}');
	buf_add_str(o->b, "\n");
	w->status = status;
	w->content_type = "application/json";
	return RC_OK;
}

bool
op_json_ok(const struct json_in *in, const struct api_request *r, struct api_response *w)
{
	if (!in->failed)
		return true;
	problem_set(r, w, "invalid_field", in->pointer, "%s %s", in->pointer[0] != '\0' ? in->pointer : "the document",
		    in->what);
	return false;
}

bool
op_param_uuid(const struct api_request *r, struct api_response *w, struct uuid *id_r)
{
	if (uuid_parse(r->param, id_r))
		return true;
	problem_set(r, w, "not_found", NULL, "there is nothing with this id");
	return false;
}

/* --- query parameters
 * -------------------------------------------------------------------------------------------
 */
static bool
wrong(const struct api_request *r, struct api_response *w, const char *name, const char *what)
{
	problem_set(r, w, "invalid_parameter", arena_printf(r->arena, "?%s", name), "%s must be %s", name, what);
	return false;
}

/* Digits only, no leading zero, at most max. */
static bool
parse_number(const char *s, uint64_t max, uint64_t *v_r)
{
	uint64_t v = 0;
	size_t n = strspn(s, "0123456789");
	if (n == 0 || n > 16 || s[n] != '\0' || (s[0] == '0' && n > 1))
		return false;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint64_t)(s[i] - '0');
	*v_r = v;
	return v <= max;
}

bool
op_limit(const struct api_request *r, struct api_response *w, uint32_t max, uint32_t *limit_r)
{
	const char *s = api_query(r, "limit");
	uint64_t v = 0;
	*limit_r = 0;
	if (s == NULL)
		return true;
	if (!parse_number(s, max, &v) || v == 0)
		return wrong(r, w, "limit", arena_printf(r->arena, "a whole number from 1 to %u", max));
	*limit_r = (uint32_t)v;
	return true;
}

bool
op_number(const struct api_request *r, struct api_response *w, const char *name, bool *given_r, uint64_t *number_r)
{
	const char *s = api_query(r, name);
	*given_r = s != NULL;
	*number_r = 0;
	return s == NULL || parse_number(s, OP_NUMBER_MAX, number_r) ||
	       wrong(r, w, name, "a whole number from 0 to 9007199254740991");
}

bool
op_bool(const struct api_request *r, struct api_response *w, const char *name, bool *v_r)
{
	const char *s = api_query(r, name);
	*v_r = s != NULL && strcmp(s, "true") == 0;
	return s == NULL || *v_r || strcmp(s, "false") == 0 || wrong(r, w, name, "true or false");
}

int64_t
op_parse_time(const char *s)
{
	static const char form[] = "%Y-%m-%dT%H:%M:%S";
	struct tm tm = {0};
	char again[32] = "";
	size_t whole = strlen("2027-01-31T00:00:00");
	int64_t us = 0;
	if (strlen(s) < whole + 1)
		return 0;
	const char *end = strptime(s, form, &tm);
	time_t t = end == s + whole ? timegm(&tm) : 0;
	/* What is written back must be what was read: strptime() takes spaces, signs and the 30th of February. */
	if (t <= 0 || gmtime_r(&t, &tm) == NULL || strftime(again, sizeof(again), form, &tm) != whole ||
	    memcmp(s, again, whole) != 0)
		return 0;
	if (*end == '.') {
		int64_t scale = 100000;
		for (end++; *end >= '0' && *end <= '9' && scale > 0; end++, scale /= 10)
			us += (*end - '0') * scale;
		if (end[-1] == '.')
			return 0;
	}
	return end[0] == 'Z' && end[1] == '\0' ? (int64_t)t * 1000000 + us : 0;
}

bool
op_time(const struct api_request *r, struct api_response *w, const char *name, int64_t *wall_us_r)
{
	const char *s = api_query(r, name);
	*wall_us_r = s != NULL ? op_parse_time(s) : 0;
	return s == NULL || *wall_us_r != 0 || wrong(r, w, name, "a time in UTC such as 2027-01-31T00:00:00Z");
}

bool
op_uuid(const struct api_request *r, struct api_response *w, const char *name, bool *given_r, struct uuid *id_r)
{
	const char *s = api_query(r, name);
	*given_r = s != NULL;
	return s == NULL || uuid_parse(s, id_r) || wrong(r, w, name, "a UUID");
}

bool
op_word(const struct api_request *r, struct api_response *w, const char *name, const char *const *words)
{
	const char *s = api_query(r, name);
	if (s == NULL)
		return true;
	const char *all = "";
	for (size_t i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], s) == 0)
			return true;
		all = arena_printf(r->arena, "%s%s%s", all, i > 0 ? ", " : "one of: ", words[i]);
	}
	return wrong(r, w, name, all);
}

bool
op_text(const struct api_request *r, struct api_response *w, const char *name, size_t max)
{
	const char *s = api_query(r, name);
	return s == NULL || strlen(s) <= max ||
	       wrong(r, w, name, arena_printf(r->arena, "at most %zu octets long", max));
}

/* --- conditions
 * -------------------------------------------------------------------------------------------------
 */
bool
op_condition(const struct api_request *r, struct api_response *w, uint64_t *if_version_r, bool *must_be_new_r)
{
	bool upsert = (r->op->flags & API_IF_NEW) != 0;
	*must_be_new_r = false;
	if (upsert && r->if_none_match[0] != '\0') {
		*must_be_new_r = strcmp(r->if_none_match, "*") == 0;
		if (!*must_be_new_r || r->if_match[0] != '\0') {
			problem_set(r, w, "bad_if_none_match", "@If-None-Match",
				    "If-None-Match must be *, and without If-Match");
			return false;
		}
	}
	enum conditional match = conditional_match(r->if_match, if_version_r);
	if (match == CONDITIONAL_VERSION && *if_version_r == 0)
		match = CONDITIONAL_NEVER; /* no service says version 0 of what it has */
	switch (match) {
	case CONDITIONAL_NONE:
		return true;
	case CONDITIONAL_ANY:
		if (!upsert)
			return true; /* without it there is nothing to change: 404 */
		break;
	case CONDITIONAL_VERSION:
		return true;
	case CONDITIONAL_NEVER:
		problem_set(r, w, "precondition", "@If-Match", "the resource is not at this ETag");
		return false;
	case CONDITIONAL_BAD:
		break;
	}
	problem_set(r, w, "bad_if_match", "@If-Match", "If-Match must be one ETag of this resource, such as \"7\"");
	return false;
}

void
op_version(const struct api_request *r, struct api_response *w, uint64_t version, bool is_volatile)
{
	/* What was never set has no version that a change could name. */
	w->etag = version == 0
		      ? ""
		      : conditional_etag(r->arena, version, is_volatile ? buf_bytes(&w->body) : bytes_of(NULL, 0));
}

/* --- members of documents
 * ---------------------------------------------------------------------------------------
 */
size_t
op_read_strings(struct json_at at, const char *name, size_t max_n, size_t max_octets, struct bytes **out_r)
{
	struct json_at list;
	size_t n = json_in_array(at, name, max_n, &list);
	*out_r = arena_new_array(at.in->arena, struct bytes, n + 1);
	for (size_t i = 0; i < n; i++)
		(*out_r)[i] = json_in_string_here(json_in_element(list, i), max_octets);
	return n;
}

size_t
op_read_words(struct json_at at, const char *name, size_t max_n, size_t max_octets, const char ***out_r)
{
	struct bytes *v;
	size_t n = op_read_strings(at, name, max_n, max_octets, &v);
	*out_r = arena_new_array(at.in->arena, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		(*out_r)[i] = (const char *)v[i].p;
	return n;
}

bool
op_read_overlap(struct api_request *r, struct api_response *w, uint32_t max, uint32_t *seconds_r)
{
	static const char *const names[] = {"overlap_seconds", NULL};
	struct json_in in;
	*seconds_r = 0;
	if (r->json == NULL)
		return true;
	struct json_at root = json_in_root(&in, r->arena, r->json);
	json_in_object(root, names);
	*seconds_r = (uint32_t)json_in_int(root, "overlap_seconds", 0, max);
	return op_json_ok(&in, r, w);
}

void
op_put_words(struct json_out *o, const char *name, const char *const *words, size_t n)
{
	json_out_open(o, name, '[');
	for (size_t i = 0; i < n; i++)
		json_out_str(o, NULL, words[i]);
	json_out_close(o, ']');
}

void
op_put_cursor(struct json_out *o, const char *next_cursor)
{
	if (next_cursor[0] != '\0')
		json_out_str(o, "next_cursor", next_cursor);
	else
		json_out_null(o, "next_cursor");
}

void
op_put_uuid_or_null(struct json_out *o, const char *name, const struct uuid *u)
{
	if (uuid_is_nil(u))
		json_out_null(o, name);
	else
		json_out_uuid(o, name, u);
}

void
op_put_number_or_null(struct json_out *o, const char *name, int64_t v, bool there)
{
	if (there)
		json_out_int(o, name, v);
	else
		json_out_null(o, name);
}

/* No key needed and nothing told but whether requests can be served: the gateway and probes from outside ask it. */
OP(op_health)
{
	if (!bus_connected(api->svc->bus))
		return err_set(e, RC_RETRY, "not connected to the other services");
	struct json_out o = op_begin(w);
	json_out_str(&o, "status", "ok");
	return op_end(&o, w, 200);
}
