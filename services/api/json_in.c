/* SPDX-License-Identifier: MIT */
#include "json_in.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The parser recurses: bound the depth before it does. And it builds: an empty object of two octets takes more than a
 * hundred times as much, so values are counted, by what stands before each of them but the first. What stands inside
 * strings does not count. */
static enum rc
check_bounds(struct bytes t, size_t values_max, struct err *e)
{
	int depth = 0;
	size_t values = 1;
	bool string = false;
	for (size_t i = 0; i < t.n; i++) {
		uint8_t c = t.p[i];
		if (string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				string = false;
		} else if (c == '"') {
			string = true;
		} else if ((c == '{' || c == '[') && ++depth > JSON_IN_DEPTH_MAX) {
			return err_set(e, RC_INVALID, "JSON nested deeper than %d", JSON_IN_DEPTH_MAX);
		} else if (c == '}' || c == ']') {
			depth--;
		}
		values += !string && (c == ',' || c == '{' || c == '[');
		if (values > values_max)
			return err_set(e, RC_LIMIT, "more than %zu values in one document", values_max);
	}
	return RC_OK;
}

enum rc
json_in_parse(struct bytes text, size_t values_max, json_t **out_r, struct err *e)
{
	json_error_t je;
	enum rc rc = check_bounds(text, values_max, e);
	if (rc != RC_OK)
		return rc;
	/* The parser takes a NUL for the end. */
	if (text.n > 0 && memchr(text.p, 0, text.n) != NULL)
		return err_set(e, RC_INVALID, "not JSON: a NUL octet");
	json_t *j =
	    json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
	if (j != NULL) {
		*out_r = j;
		return RC_OK;
	}
	/* These two are JSON, but nobody could say which value was meant, or whose name. */
	if (json_error_code(&je) == json_error_null_byte_in_key)
		return err_set(e, RC_CONFLICT, "a name holds NUL (line %d, column %d)", je.line, je.column);
	if (json_error_code(&je) == json_error_duplicate_key) {
		json_t *again = json_loadb((const char *)text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
		json_decref(again);
		if (again != NULL)
			return err_set(e, RC_CONFLICT, "a name is given twice in one object");
	}
	return err_set(e, RC_INVALID, "not JSON: %s (line %d, column %d)", je.text, je.line, je.column);
}

struct json_at
json_in_root(struct json_in *in, struct arena *a, const json_t *document)
{
	*in = (struct json_in){.arena = a};
	return (struct json_at){in, document, ""};
}

/* RFC 6901: "~" is "~0", "/" is "~1". */
static const char *
pointer_to(struct json_at at, const char *name)
{
	if (name == NULL)
		return at.pointer;
	struct buf b;
	buf_init(&b, 0);
	buf_add_str(&b, at.pointer);
	buf_add(&b, "/", 1);
	for (const char *s = name; *s != '\0'; s++) {
		if (*s == '~')
			buf_add(&b, "~0", 2);
		else if (*s == '/')
			buf_add(&b, "~1", 2);
		else
			buf_add(&b, s, 1);
	}
	const char *p = arena_strndup(at.in->arena, b.p, b.n);
	buf_done(&b);
	return p;
}

void
json_in_fail(struct json_at at, const char *name, const char *fmt, ...)
{
	if (at.in->failed)
		return;
	char what[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	at.in->failed = true;
	at.in->pointer = pointer_to(at, name);
	at.in->what = arena_strdup(at.in->arena, what);
}

void
json_in_object(struct json_at at, const char *const *names)
{
	if (!json_is_object(at.value)) {
		json_in_fail(at, NULL, "must be an object");
		return;
	}
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)at.value, key, v)
	{
		const char *const *n = names;
		while (*n != NULL && strcmp(*n, key) != 0)
			n++;
		if (*n == NULL)
			json_in_fail(at, key, "is not known here");
	}
}

bool
json_in_has(struct json_at at, const char *name)
{
	return json_object_get(at.value, name) != NULL;
}

struct json_at
json_in_member(struct json_at at, const char *name)
{
	return (struct json_at){at.in, json_object_get(at.value, name), pointer_to(at, name)};
}

size_t
json_in_array(struct json_at at, const char *name, size_t max, struct json_at *array_r)
{
	*array_r = json_in_member(at, name);
	if (array_r->value == NULL)
		return 0;
	if (!json_is_array(array_r->value)) {
		json_in_fail(at, name, "must be an array");
		return 0;
	}
	size_t n = json_array_size(array_r->value);
	if (n > max) {
		json_in_fail(at, name, "may have at most %zu elements", max);
		return 0;
	}
	return n;
}

struct json_at
json_in_element(struct json_at array, size_t i)
{
	return (struct json_at){array.in, json_array_get(array.value, i),
				arena_printf(array.in->arena, "%s/%zu", array.pointer, i)};
}

struct bytes
json_in_string_here(struct json_at at, size_t max)
{
	if (!json_is_string(at.value)) {
		json_in_fail(at, NULL, "must be a string");
		return bytes_str("");
	}
	struct bytes b = bytes_of(json_string_value(at.value), json_string_length(at.value));
	if (b.n > max || memchr(b.p, 0, b.n) != NULL) {
		json_in_fail(at, NULL, b.n > max ? "may have at most %zu octets" : "must not hold NUL", max);
		return bytes_str("");
	}
	return b;
}

struct bytes
json_in_string(struct json_at at, const char *name, bool required, size_t max)
{
	struct json_at m = json_in_member(at, name);
	if (m.value != NULL)
		return json_in_string_here(m, max);
	if (required)
		json_in_fail(at, name, "is required");
	return bytes_str("");
}

int64_t
json_in_int(struct json_at at, const char *name, int64_t min, int64_t max)
{
	struct json_at m = json_in_member(at, name);
	if (m.value == NULL)
		return 0;
	int64_t v = json_integer_value(m.value);
	if (!json_is_integer(m.value) || v < min || v > max) {
		json_in_fail(at, name, "must be a whole number from %lld to %lld", (long long)min, (long long)max);
		return 0;
	}
	return v;
}

bool
json_in_bool(struct json_at at, const char *name)
{
	struct json_at m = json_in_member(at, name);
	if (m.value != NULL && !json_is_boolean(m.value))
		json_in_fail(at, name, "must be true or false");
	return json_is_true(m.value);
}
