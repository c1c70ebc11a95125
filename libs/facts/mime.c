/* SPDX-License-Identifier: MIT
 *
 * The reading: an entity is a header and a body; a multipart's body is cut at its delimiter lines (RFC 2046 5.1), which
 * an outer multipart has cut before. Recursion is bounded by MIME_DEPTH_MAX. No state outside struct mime.
 */
#include "facts/mime.h"

#include <stdio.h>

#include "facts/charset.h"
#include "facts/sniff.h"
#include "mail/facts.h"

#define BOUNDARY_MAX 70
#define TEXT_LOOK    4096

static void read_entity(struct mime *m, struct bytes range, int32_t parent, const char *default_type, int depth);

static void
odd(struct mime *m, const char *reason)
{
	m->report(m->ctx, FACTS_AMBIGUOUS, reason);
}

static const char *
lower(struct arena *a, struct bytes b)
{
	char *s = arena_strndup(a, b.p, b.n);
	for (char *p = s; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
		else if ((unsigned char)*p >= 0x7f || (unsigned char)*p < ' ')
			*p = '?';
	return s;
}

static bool
starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* --- one entity's header -------------------------------------------------------------------------------- */

static bool
is_type(struct bytes t)
{
	const uint8_t *slash = t.n > 0 ? memchr(t.p, '/', t.n) : NULL;
	if (slash == NULL || slash == t.p || slash + 1 == t.p + t.n)
		return false;
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] <= ' ' || t.p[i] >= 0x7f || strchr("()<>@,;:\\\"[]?=", t.p[i]) != NULL)
			return false;
	return memchr(slash + 1, '/', (size_t)(t.p + t.n - slash) - 1) == NULL;
}

static void
read_type(struct mime *m, struct mime_part *p, const char *default_type)
{
	const struct header_field *f = header_find(&p->fields, "Content-Type");
	p->content_type = default_type;
	p->charset = "";
	if (f == NULL)
		return;
	header_parse_value(m->arena, f->value, &p->type);
	if (p->type.odd != NULL)
		odd(m, p->type.odd);
	if (is_type(p->type.token))
		p->content_type = lower(m->arena, p->type.token);
	else if (!bytes_ieq(p->type.token, bytes_str("text")))
		odd(m, "a Content-Type that is no type");
	const struct header_param *charset = header_param(&p->type, "charset");
	if (charset != NULL)
		p->charset = lower(m->arena, charset->value);
}

static void
read_encoding(struct mime *m, struct mime_part *p)
{
	static const struct {
		const char *name;
		enum decode_kind kind;
	} known[] = {
	    {"7bit", DECODE_NONE},     {"8bit", DECODE_NONE},		{"binary", DECODE_NONE},
	    {"base64", DECODE_BASE64}, {"quoted-printable", DECODE_QP}, {"x-uuencode", DECODE_UU},
	    {"x-uue", DECODE_UU},      {"uuencode", DECODE_UU},
	};
	const struct header_field *f = header_find(&p->fields, "Content-Transfer-Encoding");
	p->encoding = "7bit";
	p->decoding = DECODE_NONE;
	if (f == NULL)
		return;
	p->encoding = lower(m->arena, header_unfold(m->arena, f->value));
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, p->encoding) == 0) {
			p->decoding = known[i].kind;
			return;
		}
	}
	odd(m, "an unknown Content-Transfer-Encoding");
}

static void
read_header(struct mime *m, struct mime_part *p, const char *default_type)
{
	static const char *const single[] = {"Content-Type", "Content-Transfer-Encoding", "Content-Disposition",
					     "MIME-Version"};
	if (p->fields.odd != NULL)
		odd(m, p->fields.odd);
	if (p->fields.too_many) {
		m->report(m->ctx, FACTS_LIMIT, "too many header fields");
		m->cut = true;
	}
	for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
		if (header_count(&p->fields, single[i]) > 1)
			odd(m, "a MIME header that occurs twice");
	read_type(m, p, default_type);
	read_encoding(m, p);
	const struct header_field *f = header_find(&p->fields, "Content-Disposition");
	if (f != NULL)
		header_parse_value(m->arena, f->value, &p->disposition);
	if (p->disposition.odd != NULL)
		odd(m, p->disposition.odd);
}

/* --- multiparts ----------------------------------------------------------------------------------------- */

static bool
boundary_chars(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < ' ' || b.p[i] >= 0x7f || b.p[i] == '"' || b.p[i] == '\\')
			return false;
	return b.n == 0 || b.p[b.n - 1] != ' ';
}

static bool
take_boundary(struct mime *m, const struct mime_part *p, struct bytes *out_r)
{
	const struct header_param *b = header_param(&p->type, "boundary");
	if (b == NULL || b->value.n == 0) {
		odd(m, "a multipart without boundary");
		return false;
	}
	if (header_param_count(&p->type, "boundary") > 1)
		odd(m, "two boundary parameters");
	if (b->section >= 0 || b->extended || b->escaped || !boundary_chars(b->value) || b->value.n > BOUNDARY_MAX ||
	    bytes_find(b->value, bytes_str("=?")) >= 0)
		odd(m, "an unusual boundary");
	*out_r = b->value;
	return true;
}

enum line_kind { LINE_OTHER, LINE_ODD, LINE_DELIMITER, LINE_CLOSE };

static bool
is_blank(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != ' ' && b.p[i] != '\t')
			return false;
	return true;
}

/* A boundary may begin like another one inside it ("abc" and "abc-1"): then its lines are no sign of trouble. */
static bool
is_inner_delimiter(struct bytes body, struct bytes line)
{
	struct bytes name = bytes_of(line.p + 2, line.n - 2);
	while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
		name.n--;
	for (int closing = 0; closing < 2; closing++) {
		for (size_t at = 0; name.n > 0 && at < body.n;) {
			ptrdiff_t hit = bytes_find(bytes_of(body.p + at, body.n - at), name);
			if (hit < 0)
				break;
			size_t pos = at + (size_t)hit;
			if (pos > 0 && (body.p[pos - 1] == '=' || body.p[pos - 1] == '"'))
				return true;
			at = pos + 1;
		}
		if (name.n < 3 || memcmp(name.p + name.n - 2, "--", 2) != 0)
			break;
		name.n -= 2;
	}
	return false;
}

/* line begins with white space of length indent, "--" and the boundary in any case. */
static enum line_kind
judge_line(struct bytes body, struct bytes line, size_t indent, struct bytes boundary)
{
	struct bytes rest = bytes_of(line.p + indent + 2 + boundary.n, line.n - indent - 2 - boundary.n);
	bool exact = indent == 0 && memcmp(line.p + 2, boundary.p, boundary.n) == 0;
	bool close = rest.n >= 2 && memcmp(rest.p, "--", 2) == 0;
	if (exact && is_blank(rest))
		return LINE_DELIMITER;
	if (exact && close && is_blank(bytes_of(rest.p + 2, rest.n - 2)))
		return LINE_CLOSE;
	return is_inner_delimiter(body, bytes_of(line.p + indent, line.n - indent)) ? LINE_OTHER : LINE_ODD;
}

struct cutter {
	struct bytes body, boundary;
	size_t at; /* the line to look at next */
};

static bool
resembles_delimiter(struct bytes line, struct bytes boundary, size_t *indent_r)
{
	size_t i = 0;
	while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	*indent_r = i;
	return line.n - i >= 2 + boundary.n && line.p[i] == '-' && line.p[i + 1] == '-' &&
	       bytes_ieq(bytes_of(line.p + i + 2, boundary.n), boundary);
}

/* The next line that is or resembles a delimiter: its range with CRLF in *start_r, *end_r. */
static enum line_kind
next_delimiter(struct cutter *c, size_t *start_r, size_t *end_r)
{
	while (c->at < c->body.n) {
		size_t start = c->at, indent;
		const uint8_t *nl = memchr(c->body.p + start, '\n', c->body.n - start);
		size_t end = nl != NULL ? (size_t)(nl - c->body.p) + 1 : c->body.n, text_end = end;
		while (text_end > start && (c->body.p[text_end - 1] == '\n' || c->body.p[text_end - 1] == '\r'))
			text_end--;
		c->at = end;
		struct bytes line = bytes_of(c->body.p + start, text_end - start);
		if (!resembles_delimiter(line, c->boundary, &indent))
			continue;
		enum line_kind kind = judge_line(c->body, line, indent, c->boundary);
		if (kind == LINE_OTHER)
			continue;
		*start_r = start;
		*end_r = end;
		return kind;
	}
	return LINE_OTHER;
}

/* Text before the first and after the last delimiter is shown by nobody, unless a reader sees MIME in it. */
static void
judge_outside(struct mime *m, struct bytes b)
{
	static const char *const signs[] = {
	    "content-type:", "content-transfer-encoding:", "content-disposition:", "begin ", "=ybegin "};
	for (size_t at = 0; at < b.n;) {
		struct bytes line;
		const uint8_t *nl = memchr(b.p + at, '\n', b.n - at);
		size_t end = nl != NULL ? (size_t)(nl - b.p) : b.n;
		for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
			struct bytes sign = bytes_str(signs[i]);
			if (bytes_slice(b, at, sign.n, &line) && bytes_ieq(line, sign))
				odd(m, "MIME outside the parts of a multipart");
		}
		at = end + 1;
	}
}

static void
read_multipart(struct mime *m, size_t index, int depth)
{
	struct bytes body = m->parts[index].body, boundary;
	const char *inner =
	    strcmp(m->parts[index].content_type, "multipart/digest") == 0 ? "message/rfc822" : "text/plain";
	if (!take_boundary(m, &m->parts[index], &boundary))
		return;
	for (int32_t up = m->parts[index].parent; up >= 0; up = m->parts[up].parent) {
		const struct header_param *outer = header_param(&m->parts[up].type, "boundary");
		if (m->parts[up].kind == MIME_MULTIPART && outer != NULL && bytes_eq(outer->value, boundary))
			odd(m, "a boundary used twice");
	}
	struct cutter c = {body, boundary, 0};
	size_t start = 0, end = 0, part_start = 0;
	bool open = false, closed = false;
	for (;;) {
		enum line_kind kind = next_delimiter(&c, &start, &end);
		if (kind == LINE_OTHER)
			break;
		if (kind == LINE_ODD) {
			odd(m, "a line that resembles a boundary");
			continue;
		}
		if (closed)
			odd(m, "a multipart that goes on after its end");
		size_t part_end = start >= part_start + 2 ? start - 2 : part_start;
		if (open)
			read_entity(m, bytes_of(body.p + part_start, part_end - part_start), (int32_t)index, inner,
				    depth + 1);
		else if (!closed)
			judge_outside(m, bytes_of(body.p, start));
		open = kind == LINE_DELIMITER;
		closed |= kind == LINE_CLOSE;
		part_start = end;
	}
	if (open) {
		read_entity(m, bytes_of(body.p + part_start, body.n - part_start), (int32_t)index, inner, depth + 1);
		odd(m, "a multipart without end");
	} else if (!closed) {
		odd(m, "a multipart whose boundary never occurs");
	} else {
		judge_outside(m, bytes_of(body.p + part_start, body.n - part_start));
	}
}

/* --- entities ------------------------------------------------------------------------------------------- */

static struct mime_part *
add_part(struct mime *m)
{
	if (m->n_parts == m->cap_parts) {
		size_t cap = m->cap_parts == 0 ? 16 : m->cap_parts * 2;
		struct mime_part *v = arena_new_array(m->arena, struct mime_part, cap);
		if (m->n_parts > 0)
			memcpy(v, m->parts, m->n_parts * sizeof(*v));
		m->parts = v;
		m->cap_parts = cap;
	}
	return &m->parts[m->n_parts++];
}

/* Types that readers show as a text; of others, and of what is no text, they make a file to be opened. */
static bool
is_shown(const char *type)
{
	static const char *const shown[] = {"text/plain",      "text/html",	"text/calendar",  "text/rfc822-headers",
					    "text/x-amp-html", "text/enriched", "text/watch-html"};
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (strcmp(type, shown[i]) == 0)
			return true;
	return false;
}

static bool
is_text(struct mime *m, const struct mime_part *p)
{
	struct bytes b = p->content;
	if (charset_keeps_ascii(p->charset))
		return sniff_is_text(b);
	struct bytes head = bytes_of(b.p, b.n < TEXT_LOOK ? b.n : TEXT_LOOK);
	const char *type = sniff_type(b);
	bool plain = strcmp(type, "text/plain") == 0 || strcmp(type, "application/octet-stream") == 0;
	return plain && sniff_opaque(b) == NULL &&
	       sniff_is_text(charset_to_utf8(p->charset, head, TEXT_LOOK * 2, m->arena));
}

static void
decode_leaf(struct mime *m, struct mime_part *p)
{
	const char *why = NULL;
	p->content = decode_body(p->decoding, p->body, m->arena, &why);
	if (why != NULL)
		odd(m, why);
	/* An unknown disposition is an attachment (RFC 2183 2.8). */
	bool attached = p->disposition.token.n > 0 && !bytes_ieq(p->disposition.token, bytes_str("inline"));
	bool named = header_param(&p->disposition, "filename") != NULL || header_param(&p->type, "name") != NULL;
	p->text_body = p->kind == MIME_LEAF && is_shown(p->content_type) && !attached && !named && is_text(m, p);
}

static enum mime_kind
kind_of(const char *type)
{
	if (starts(type, "multipart/"))
		return MIME_MULTIPART;
	/* Delivery reports and the like are texts; what else is a message holds one. */
	if (strcmp(type, "message/rfc822") == 0 || strcmp(type, "message/global") == 0 ||
	    strcmp(type, "message/news") == 0)
		return MIME_MESSAGE;
	return MIME_LEAF;
}

static void
judge_type(struct mime *m, const struct mime_part *p)
{
	const char *t = p->content_type;
	if (strcmp(t, "message/partial") == 0)
		m->report(m->ctx, FACTS_UNSCANNABLE, "a message in fragments");
	else if (strcmp(t, "message/external-body") == 0)
		m->report(m->ctx, FACTS_UNSCANNABLE, "a body that lies elsewhere");
	else if (strcmp(t, "multipart/encrypted") == 0)
		m->report(m->ctx, FACTS_ENCRYPTED, "an encrypted message");
	if (p->kind != MIME_LEAF && p->decoding != DECODE_NONE)
		odd(m, "a multipart or message inside an encoding");
}

static void
read_entity(struct mime *m, struct bytes range, int32_t parent, const char *default_type, int depth)
{
	if (m->n_parts == FACTS_PARTS_MAX || depth > MIME_DEPTH_MAX) {
		m->report(m->ctx, FACTS_LIMIT, "too many parts, or nested too deep");
		m->cut = true;
		return;
	}
	size_t index = m->n_parts;
	struct mime_part *p = add_part(m);
	*p = (struct mime_part){.parent = parent};
	header_parse(range, FACTS_FIELDS_MAX, m->arena, &p->fields);
	p->header = bytes_of(range.p, p->fields.length);
	p->body = bytes_of(range.p + p->fields.body, range.n - p->fields.body);
	read_header(m, p, default_type);
	p->kind = kind_of(p->content_type);
	judge_type(m, p);
	if (p->kind == MIME_LEAF || p->decoding != DECODE_NONE)
		decode_leaf(m, p);
	if (p->kind == MIME_LEAF)
		return;
	if (p->kind == MIME_MULTIPART)
		read_multipart(m, index, depth);
	else
		read_entity(m, p->body, (int32_t)index, "text/plain", depth + 1);
}

/* Bare CR or LF: two readers see different lines. NUL: some stop there. */
static void
judge_octets(struct mime *m)
{
	struct bytes b = m->msg;
	if (memchr(b.p, '\0', b.n) != NULL)
		odd(m, "a NUL octet");
	size_t cr = 0;
	for (const uint8_t *p = b.p, *end = b.p + b.n; (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++) {
		cr++;
		if (p + 1 == end || p[1] != '\n') {
			odd(m, "a bare CR");
			return;
		}
	}
	for (const uint8_t *p = b.p, *end = b.p + b.n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		if (cr-- == 0 || p == b.p || p[-1] != '\r') {
			odd(m, "a bare LF");
			return;
		}
}

void
mime_read(struct mime *m, struct bytes msg, struct arena *a, mime_report report, void *ctx)
{
	*m = (struct mime){.msg = msg, .arena = a, .report = report, .ctx = ctx};
	if (msg.n == 0) {
		report(ctx, FACTS_AMBIGUOUS, "an empty message");
		return;
	}
	judge_octets(m);
	read_entity(m, msg, -1, "text/plain", 0);
}
