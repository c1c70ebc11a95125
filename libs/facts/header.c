/* SPDX-License-Identifier: MIT
 *
 * One pass over the lines of a header block, one over the tokens of a value. No state.
 */
#include "facts/header.h"

#include <stdlib.h>

static bool
is_wsp(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool
is_space(uint8_t c)
{
	return is_wsp(c) || c == '\r' || c == '\n';
}

/* --- fields --------------------------------------------------------------------------------------------- */

/* End of the line at `at`, its CRLF included; the rest of b if there is none. */
static size_t
line_end(struct bytes b, size_t at)
{
	for (const uint8_t *p = b.p + at; (p = memchr(p, '\n', (size_t)(b.p + b.n - p))) != NULL; p++)
		if (p > b.p + at && p[-1] == '\r')
			return (size_t)(p - b.p) + 1;
	return b.n;
}

static bool
is_empty_line(struct bytes b, size_t at)
{
	return b.n - at >= 2 && b.p[at] == '\r' && b.p[at + 1] == '\n';
}

static bool
only_white(struct bytes line)
{
	for (size_t i = 0; i < line.n; i++)
		if (!is_space(line.p[i]))
			return false;
	return true;
}

static bool
split_field(struct bytes whole, struct header_field *f, const char **odd)
{
	const uint8_t *colon = memchr(whole.p, ':', whole.n);
	if (colon == NULL || colon == whole.p)
		return false;
	size_t n = (size_t)(colon - whole.p), value_end = whole.n;
	while (n > 0 && is_wsp(whole.p[n - 1]))
		n--;
	if (n != (size_t)(colon - whole.p))
		*odd = "white space before a header's colon";
	for (size_t i = 0; i < n; i++)
		if (whole.p[i] <= ' ' || whole.p[i] >= 0x7f)
			return false;
	if (n == 0)
		return false;
	if (value_end >= 2 && whole.p[value_end - 1] == '\n' && whole.p[value_end - 2] == '\r')
		value_end -= 2;
	size_t start = (size_t)(colon - whole.p) + 1;
	f->name = bytes_of(whole.p, n);
	f->whole = whole;
	f->value = bytes_of(whole.p + start, value_end > start ? value_end - start : 0);
	return true;
}

static bool
name_begins(struct bytes name, const char *prefix)
{
	struct bytes want = bytes_str(prefix);
	return name.n >= want.n && bytes_ieq(bytes_of(name.p, want.n), want);
}

void
header_parse(struct bytes b, size_t fields_max, struct arena *a, struct header *out_r)
{
	size_t cap = 32, at = 0;
	struct header h = {.v = arena_new_array(a, struct header_field, cap)};
	while (at < b.n && !is_empty_line(b, at)) {
		size_t end = line_end(b, at);
		bool white_fold = false;
		while (end < b.n && is_wsp(b.p[end])) {
			size_t next = line_end(b, end);
			white_fold |= only_white(bytes_of(b.p + end, next - end));
			end = next;
		}
		struct header_field f;
		if (is_wsp(b.p[at]) || !split_field(bytes_of(b.p + at, end - at), &f, &h.odd)) {
			h.odd = "a header line that is no field";
		} else if (h.n == fields_max) {
			h.too_many = true;
		} else {
			if (white_fold && name_begins(f.name, "content-"))
				h.odd = "a folded line of white space in a MIME header";
			if (h.n == cap) {
				struct header_field *v = arena_new_array(a, struct header_field, cap * 2);
				memcpy(v, h.v, cap * sizeof(*v));
				h.v = v;
				cap *= 2;
			}
			h.v[h.n++] = f;
		}
		at = end;
	}
	h.length = at;
	h.body = at < b.n ? at + 2 : b.n;
	*out_r = h;
}

const struct header_field *
header_find(const struct header *h, const char *name)
{
	struct bytes want = bytes_str(name);
	for (size_t i = 0; i < h->n; i++)
		if (bytes_ieq(h->v[i].name, want))
			return &h->v[i];
	return NULL;
}

size_t
header_count(const struct header *h, const char *name)
{
	struct bytes want = bytes_str(name);
	size_t n = 0;
	for (size_t i = 0; i < h->n; i++)
		n += bytes_ieq(h->v[i].name, want);
	return n;
}

struct bytes
header_unfold(struct arena *a, struct bytes value)
{
	uint8_t *p = arena_alloc(a, value.n + 1);
	size_t n = 0, start = 0;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			p[n++] = value.p[i];
	while (start < n && is_wsp(p[start]))
		start++;
	while (n > start && is_wsp(p[n - 1]))
		n--;
	return bytes_of(p + start, n - start);
}

/* --- values with parameters ----------------------------------------------------------------------------- */

struct cursor {
	struct arena *arena;
	const uint8_t *p, *end;
	const char *odd;
};

/* Of a comment with signs in it some readers take the signs for what they are outside. */
static void
skip_comment(struct cursor *c, bool allowed)
{
	int depth = 0;
	for (; c->p < c->end; c->p++) {
		allowed &= strchr(";=\"\\,<>", *c->p) == NULL || *c->p == '\0';
		if (*c->p == '\\' && c->p + 1 < c->end)
			c->p++;
		else if (*c->p == '(')
			depth++;
		else if (*c->p == ')' && --depth == 0)
			break;
	}
	if (c->p == c->end || !allowed)
		c->odd = "a comment in a MIME header";
	if (c->p < c->end)
		c->p++;
}

/* comments: they may stand here, as behind a value (RFC 2045 5.1). */
static void
skip_blanks(struct cursor *c, bool comments)
{
	while (c->p < c->end) {
		if (is_space(*c->p))
			c->p++;
		else if (*c->p == '(')
			skip_comment(c, comments);
		else
			return;
	}
}

static void
skip_space(struct cursor *c)
{
	skip_blanks(c, false);
}

static struct bytes
take_until(struct cursor *c, const char *stops)
{
	const uint8_t *start = c->p;
	while (c->p < c->end && !is_space(*c->p) && strchr(stops, *c->p) == NULL)
		c->p++;
	return bytes_of(start, (size_t)(c->p - start));
}

static void
take_quoted(struct cursor *c, struct header_param *param)
{
	uint8_t *out = arena_alloc(c->arena, (size_t)(c->end - c->p) + 1);
	size_t n = 0;
	param->quoted = true;
	for (c->p++; c->p < c->end && *c->p != '"'; c->p++) {
		if (*c->p == '\\' && c->p + 1 < c->end) {
			param->escaped = true;
			c->p++;
		}
		if (*c->p != '\r' && *c->p != '\n')
			out[n++] = *c->p;
	}
	if (c->p == c->end)
		c->odd = "a quoted string without end in a MIME header";
	else
		c->p++;
	param->value = bytes_of(out, n);
}

/* "filename*0*" -> filename, section 0, extended. */
static void
split_rfc2231(struct header_param *param)
{
	struct bytes n = param->name;
	param->section = -1;
	if (n.n > 0 && n.p[n.n - 1] == '*') {
		param->extended = true;
		n.n--;
	}
	size_t digits = 0;
	int section = 0;
	while (digits < n.n && digits < 4 && n.p[n.n - 1 - digits] >= '0' && n.p[n.n - 1 - digits] <= '9')
		digits++;
	if (digits > 0 && digits < n.n && n.p[n.n - 1 - digits] == '*') {
		for (size_t i = n.n - digits; i < n.n; i++)
			section = section * 10 + (n.p[i] - '0');
		param->section = section;
		n.n -= digits + 1;
	}
	param->name = n;
}

static void
take_param(struct cursor *c, struct header_value *v)
{
	struct header_param param = {.name = take_until(c, "=;")};
	skip_space(c);
	if (c->p == c->end || *c->p != '=') {
		if (param.name.n > 0)
			v->odd = "a parameter without value in a MIME header";
		return;
	}
	c->p++;
	skip_space(c);
	if (c->p < c->end && *c->p == '"')
		take_quoted(c, &param);
	else
		param.value = take_until(c, ";");
	split_rfc2231(&param);
	/* Of what a comment is, readers need not agree where the parts of a message depend on it. */
	skip_blanks(c, !bytes_ieq(param.name, bytes_str("boundary")));
	/* `name=a b` without quotes: some readers take "a", some "a b". Harmless in a name, fatal in a boundary. */
	if (c->p < c->end && *c->p != ';' && bytes_ieq(param.name, bytes_str("boundary")))
		v->odd = "text after the boundary parameter";
	if (v->n_params < HEADER_PARAMS_MAX)
		v->params[v->n_params++] = param;
	else
		v->odd = "too many parameters in a MIME header";
}

void
header_parse_value(struct arena *a, struct bytes value, struct header_value *out_r)
{
	struct cursor c = {a, value.p, value.p + value.n, NULL};
	*out_r = (struct header_value){.n_params = 0};
	skip_space(&c);
	out_r->token = take_until(&c, ";(");
	skip_blanks(&c, true);
	if (c.p < c.end && *c.p != ';')
		out_r->odd = "text after the value of a MIME header";
	while (c.p < c.end) {
		if (*c.p++ != ';')
			continue;
		skip_space(&c);
		if (c.p < c.end && *c.p != ';')
			take_param(&c, out_r);
	}
	if (c.odd != NULL)
		out_r->odd = c.odd;
}

const struct header_param *
header_param(const struct header_value *v, const char *name)
{
	struct bytes want = bytes_str(name);
	for (size_t i = 0; i < v->n_params; i++)
		if (bytes_ieq(v->params[i].name, want))
			return &v->params[i];
	return NULL;
}

size_t
header_param_count(const struct header_value *v, const char *name)
{
	struct bytes want = bytes_str(name);
	size_t n = 0;
	for (size_t i = 0; i < v->n_params; i++)
		n += bytes_ieq(v->params[i].name, want);
	return n;
}
