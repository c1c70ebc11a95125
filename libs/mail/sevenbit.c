/* SPDX-License-Identifier: MIT
 *
 * A list of edits (replace a range by other octets) made from the part map, then the pieces between them. Ranges come
 * from facts_decode(), which checked them against the message.
 */
#include "mail/sevenbit.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <strings.h>

#define LINE_OCTETS 57 /* of base64: 76 characters */

struct edit {
	uint64_t offset, length;
	struct bytes with;
};
struct edits {
	struct edit *v;
	size_t n;
};

static bool
has_eight_bit(struct bytes b)
{
	size_t i = 0;
	for (; i + 8 <= b.n; i += 8) {
		uint64_t w;
		memcpy(&w, b.p + i, 8);
		if ((w & UINT64_C(0x8080808080808080)) != 0)
			return true;
	}
	for (; i < b.n; i++)
		if (b.p[i] >= 0x80)
			return true;
	return false;
}

static bool
begins(const char *s, const char *with)
{
	return strncasecmp(s, with, strlen(with)) == 0;
}

/* A type whose octets are somebody's signature or cipher text, or another whole message. */
static bool
is_sealed(const char *type)
{
	return begins(type, "multipart/signed") || begins(type, "multipart/encrypted") ||
	       begins(type, "application/pkcs7") || begins(type, "application/x-pkcs7") ||
	       begins(type, "application/pgp") || begins(type, "message/");
}

static bool
sealed_here_or_above(const struct facts *f, size_t i)
{
	for (int32_t k = (int32_t)i; k >= 0; k = f->parts[k].parent)
		if (is_sealed(f->parts[k].content_type))
			return true;
	return false;
}

static bool
is_leaf(const struct facts *f, size_t i)
{
	for (size_t k = i + 1; k < f->n_parts; k++)
		if (f->parts[k].parent == (int32_t)i)
			return false;
	return true;
}

/* The field called name in a part's header: its range with folding and CRLF. */
static bool
find_field(struct bytes msg, uint64_t offset, uint64_t length, const char *name, uint64_t *from_r, uint64_t *n_r)
{
	size_t k = strlen(name);
	uint64_t end = offset + length;
	for (uint64_t i = offset; i < end;) {
		uint64_t from = i;
		do {
			const uint8_t *lf = memchr(msg.p + i, '\n', end - i);
			i = lf != NULL ? (uint64_t)(lf - msg.p) + 1 : end;
		} while (i < end && (msg.p[i] == ' ' || msg.p[i] == '\t'));
		if (i - from > k && bytes_ieq(bytes_of(msg.p + from, k), bytes_str(name))) {
			uint64_t c = from + k;
			while (c < i && (msg.p[c] == ' ' || msg.p[c] == '\t'))
				c++;
			if (c < i && msg.p[c] == ':') {
				*from_r = from;
				*n_r = i - from;
				return true;
			}
		}
	}
	return false;
}

/* Lines of base64; the last one ends in CRLF only if `end`: inside a multipart that CRLF belongs to the boundary. */
static struct bytes
base64_lines(struct bytes in, bool end, struct arena *a)
{
	size_t lines = (in.n + LINE_OCTETS - 1) / LINE_OCTETS;
	uint8_t *out = arena_alloc(a, (in.n + 2) / 3 * 4 + lines * 2 + 3);
	size_t o = 0;
	for (size_t i = 0; i < in.n; i += LINE_OCTETS) {
		size_t n = in.n - i < LINE_OCTETS ? in.n - i : LINE_OCTETS;
		o += (size_t)EVP_EncodeBlock(out + o, in.p + i, (int)n);
		if (end || i + n < in.n) {
			out[o++] = '\r';
			out[o++] = '\n';
		}
	}
	return bytes_of(out, o);
}

static void
add(struct edits *e, uint64_t offset, uint64_t length, struct bytes with)
{
	e->v[e->n++] = (struct edit){offset, length, with};
}

static void
set_encoding(struct edits *e, const struct facts_part *p, struct bytes msg, const char *field, bool root)
{
	uint64_t from, n;
	if (find_field(msg, p->header_offset, p->header_length, "Content-Transfer-Encoding", &from, &n))
		add(e, from, n, bytes_str(field));
	else
		add(e, p->header_offset + p->header_length, 0, bytes_str(field));
	if (root && !find_field(msg, p->header_offset, p->header_length, "MIME-Version", &from, &n))
		add(e, p->header_offset + p->header_length, 0, bytes_str("MIME-Version: 1.0\r\n"));
}

static bool
plain_encoding(const char *encoding)
{
	return encoding[0] == '\0' || strcasecmp(encoding, "8bit") == 0 || strcasecmp(encoding, "binary") == 0 ||
	       strcasecmp(encoding, "7bit") == 0;
}

static enum rc
edit_part(const struct facts *f, size_t i, struct bytes msg, struct arena *a, struct edits *edits, struct err *e)
{
	const struct facts_part *p = &f->parts[i];
	struct bytes body;
	if (!bytes_slice(msg, p->body_offset, p->body_length, &body))
		return err_set(e, RC_INVALID, "7-bit: a part is outside the message");
	bool leaf = is_leaf(f, i), eight = has_eight_bit(body);
	if (!eight)
		return RC_OK;
	if (sealed_here_or_above(f, i))
		return err_set(e, RC_DENIED, "7-bit: a part is signed, encrypted or a message");
	if (!plain_encoding(p->encoding))
		return err_set(e, RC_DENIED, "7-bit: 8-bit octets in an encoded part");
	if (leaf) {
		set_encoding(edits, p, msg, "Content-Transfer-Encoding: base64\r\n", i == 0);
		add(edits, p->body_offset, p->body_length, base64_lines(body, p->parent < 0, a));
	} else if (p->encoding[0] != '\0') {
		set_encoding(edits, p, msg, "Content-Transfer-Encoding: 7bit\r\n", i == 0);
	}
	return RC_OK;
}

static int
by_offset(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* The octets of [from, to) after the edits. */
static bool
cut(struct bytes msg, const struct edits *e, uint64_t from, uint64_t to, struct bytes *v, size_t *n_r)
{
	size_t n = 0;
	uint64_t at = from;
	for (size_t i = 0; i < e->n; i++) {
		const struct edit *x = &e->v[i];
		if (x->offset < from || x->offset + x->length > to)
			continue;
		if (x->offset < at)
			return false; /* ranges that overlap */
		v[n++] = bytes_of(msg.p + at, x->offset - at);
		v[n++] = x->with;
		at = x->offset + x->length;
	}
	v[n++] = bytes_of(msg.p + at, to - at);
	*n_r = n;
	return true;
}

/* Fields of the top header after the edits: those that were replaced, and those that were added at its end. */
static bool
top_fields(const struct facts *f, struct bytes msg, const struct edits *e, struct arena *a, struct sevenbit *s)
{
	s->fields = arena_new_array(a, struct bytes, f->n_fields + e->n);
	for (size_t i = 0; i < f->n_fields; i++) {
		struct bytes *to = &s->fields[s->n_fields++];
		if (!bytes_slice(msg, f->fields[i].offset, f->fields[i].length, to))
			return false;
		for (size_t k = 0; k < e->n; k++)
			if (e->v[k].length > 0 && e->v[k].offset == f->fields[i].offset)
				*to = e->v[k].with;
	}
	for (size_t k = 0; k < e->n; k++)
		if (e->v[k].length == 0 && e->v[k].offset == f->header_length)
			s->fields[s->n_fields++] = e->v[k].with;
	return true;
}

enum rc
sevenbit_make(const struct facts *f, struct bytes msg, struct arena *a, struct sevenbit *out_r, struct err *e)
{
	struct edits edits = {.v = arena_new_array(a, struct edit, f->n_parts * 3 + 1)};
	struct sevenbit s = {0};
	enum rc rc = f->n_parts > 0 ? RC_OK : err_set(e, RC_DENIED, "7-bit: no part map");
	if (f->utf8_header)
		return err_set(e, RC_DENIED, "7-bit: 8-bit octets in the header");
	for (size_t i = 0; rc == RC_OK && i < f->n_parts; i++)
		rc = edit_part(f, i, msg, a, &edits, e);
	if (rc != RC_OK)
		return rc;
	/* Stable for equal offsets: they were added in order, and there are few. */
	for (size_t i = 1; i < edits.n; i++)
		for (size_t k = i; k > 0 && by_offset(&edits.v[k], &edits.v[k - 1]) < 0; k--) {
			struct edit x = edits.v[k];
			edits.v[k] = edits.v[k - 1];
			edits.v[k - 1] = x;
		}
	uint64_t body = f->header_length;
	if (msg.n - body >= 2 && msg.p[body] == '\r' && msg.p[body + 1] == '\n')
		body += 2;
	s.pieces = arena_new_array(a, struct bytes, edits.n * 2 + 1);
	s.body = arena_new_array(a, struct bytes, edits.n * 2 + 1);
	if (!cut(msg, &edits, 0, msg.n, s.pieces, &s.n_pieces) || !cut(msg, &edits, body, msg.n, s.body, &s.n_body) ||
	    !top_fields(f, msg, &edits, a, &s))
		return err_set(e, RC_INVALID, "7-bit: the part map overlaps");
	for (size_t i = 0; i < s.n_pieces; i++)
		if (has_eight_bit(s.pieces[i]))
			return err_set(e, RC_DENIED, "7-bit: 8-bit octets outside the parts");
	*out_r = s;
	return RC_OK;
}
