/* SPDX-License-Identifier: MIT
 *
 * Loading and composing. Nothing here parses the message: the part map says where the fields are.
 */
#include "compose.h"

#include <stdio.h>

#include "core/clock.h"
#include "lanes.h"
#include "mail/sevenbit.h"
#include "smtp/address.h"

#define LOAD_MS	     20000
#define BODY_MAX     (256u * 1024 * 1024)
#define BLOCK_FIELDS 4

static void
domain_of(const char *addr, char out[256])
{
	struct smtp_address a;
	char ascii[SMTP_ASCII_DOMAIN_SIZE];
	out[0] = '\0';
	if (smtp_address_parse(bytes_str(addr), &a, NULL) == RC_OK && !a.literal &&
	    smtp_domain_ascii(a.domain, ascii, NULL) == RC_OK)
		snprintf(out, 256, "%s", ascii);
}

/* The domain of From if the tenant has a key for it, else that of MAIL FROM, else none. */
static enum rc
find_keys(struct delivery *d, const struct uuid *tenant, struct composed *c, struct err *e)
{
	const char *const domains[] = {c->from_domain, c->sender_domain};
	for (int i = 0; i < 2; i++) {
		struct key_set *set = NULL;
		if (domains[i][0] == '\0' || (i == 1 && strcmp(domains[0], domains[1]) == 0))
			continue;
		enum rc rc =
		    signers_get(d->signers, d->svc->content, d->svc->db, tenant, bytes_str(domains[i]), &set, e);
		if (rc != RC_OK)
			return rc;
		if (set->n > 0) {
			c->keys = set;
			return RC_OK;
		}
		signers_put(d->signers, set);
	}
	return RC_OK;
}

static enum rc
read_content(struct delivery *d, const struct job *j, struct bytes data[2], struct arena *a, struct err *e)
{
	static const enum content_kind kinds[] = {CONTENT_BODY, CONTENT_FACTS};
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(d->svc->db, &j->tenant, clock_mono_ms() + LOAD_MS, &tx, e);
	if (rc != RC_OK)
		return rc;
	return content_get_commit(d->svc->content, &tx, &j->tenant, &j->message->id, kinds, data, 2, BODY_MAX, a, e);
}

enum rc
compose_load(struct delivery *d, const struct job *j, struct composed *c, struct err *e)
{
	const struct store_message *m = j->message;
	struct bytes data[2] = {j->body, j->facts};
	enum rc rc = RC_OK;
	*c = (struct composed){.arena = arena_new()};
	if (j->body.p == NULL || j->facts.p == NULL)
		rc = read_content(d, j, data, c->arena, e);
	if (rc == RC_OK && (data[0].p == NULL || data[1].p == NULL))
		rc = err_set(e, RC_INVALID, "content is missing");
	if (rc == RC_OK)
		rc = facts_decode(data[1], c->arena, &c->facts, e);
	if (rc == RC_OK && (c->facts->size != data[0].n || c->facts->header_length > data[0].n))
		rc = err_set(e, RC_INVALID, "facts are of another body");
	if (rc == RC_OK) {
		c->body = data[0];
		if (c->facts->from.n > 0)
			domain_of(c->facts->from.v[0].addr, c->from_domain);
		domain_of(arena_strndup(c->arena, m->mail_from.p, m->mail_from.n), c->sender_domain);
		if (m->direction != STORE_INCOMING)
			rc = find_keys(d, &j->tenant, c, e);
	}
	if (rc != RC_OK)
		compose_done(d, c);
	return rc;
}

void
compose_done(struct delivery *d, struct composed *c)
{
	signers_put(d->signers, c->keys);
	c->keys = NULL;
	arena_free(&c->arena);
}

/* Foreign words in a field of ours: printable ASCII without what has a meaning in a comment. */
static void
add_word(struct buf *out, struct bytes w)
{
	for (size_t i = 0; i < w.n && i < 255; i++) {
		uint8_t ch = w.p[i];
		bool plain = ch > 0x20 && ch < 0x7f && strchr("()\\<>\"", ch) == NULL;
		buf_add(out, plain ? &ch : (const uint8_t *)"?", 1);
	}
}

static void
add_words(struct buf *out, struct bytes w)
{
	for (size_t i = 0; i < w.n;) {
		size_t k = i;
		while (k < w.n && w.p[k] != ' ')
			k++;
		add_word(out, bytes_of(w.p + i, k - i));
		if (k < w.n)
			buf_add(out, " ", 1);
		i = k + 1;
	}
}

void
compose_trace(const struct store_message *m, const struct facts *f, struct buf *out)
{
	char date[CLOCK_RFC5322_SIZE], id[UUID_STR_SIZE];
	clock_rfc5322(m->accepted_us, date);
	uuid_format(&m->id, id);
	if (m->direction == STORE_SYSTEM)
		return; /* born here, complete */
	buf_add_str(out, "Received: from ");
	add_word(out, m->helo.n > 0 ? m->helo : bytes_str("unknown"));
	if (m->client_ip.n > 0 && m->direction == STORE_INCOMING) {
		bool v6 = memchr(m->client_ip.p, ':', m->client_ip.n) != NULL;
		buf_add_str(out, v6 ? " ([IPv6:" : " ([");
		add_word(out, m->client_ip);
		buf_add_str(out, "])");
	}
	buf_add_str(out, "\r\n\tby ");
	add_word(out, m->host.n > 0 ? m->host : bytes_str("localhost"));
	buf_add_str(out, " with ");
	add_word(out, m->protocol.n > 0 ? m->protocol : bytes_str("ESMTP"));
	buf_addf(out, " id %s", id);
	if (m->tls.n > 0) {
		buf_add_str(out, "\r\n\t(");
		add_words(out, m->tls);
		buf_add_str(out, ")");
	}
	buf_addf(out, ";\r\n\t%s\r\n", date);
	if (m->direction != STORE_OUTGOING)
		return;
	if (!f->has_message_id) {
		buf_addf(out, "Message-ID: <%s@", id);
		add_word(out, m->host.n > 0 ? m->host : bytes_str("localhost"));
		buf_add_str(out, ">\r\n");
	}
	if (!f->has_date)
		buf_addf(out, "Date: %s\r\n", date);
}

/* The fields of a block we wrote: one begins where a line does not begin with white space. */
static size_t
own_fields(struct bytes block, struct bytes *v, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < block.n && n < max;) {
		size_t from = i;
		do {
			const uint8_t *lf = memchr(block.p + i, '\n', block.n - i);
			i = lf != NULL ? (size_t)(lf - block.p) + 1 : block.n;
		} while (i < block.n && (block.p[i] == '\t' || block.p[i] == ' '));
		v[n++] = bytes_of(block.p + from, i - from);
	}
	return n;
}

/* The message's own fields, as they stand in the pieces of the variant. */
struct variant {
	struct bytes *fields;
	size_t n_fields;
	struct bytes *pieces; /* the message without our block */
	size_t n_pieces;
	struct bytes *body; /* what follows the empty line */
	size_t n_body;
	bool eight_bit;
};

static void
as_stored(struct composed *c, struct variant *v)
{
	const struct facts *f = c->facts;
	struct arena *a = c->arena;
	v->fields = arena_new_array(a, struct bytes, f->n_fields + 1);
	for (size_t i = 0; i < f->n_fields; i++)
		v->fields[v->n_fields++] = bytes_of(c->body.p + f->fields[i].offset, f->fields[i].length);
	v->pieces = arena_new_array(a, struct bytes, 1);
	v->pieces[0] = c->body;
	v->n_pieces = 1;
	/* Behind the empty line; a message that ends with its header has none. */
	size_t at = f->header_length;
	if (c->body.n - at >= 2 && c->body.p[at] == '\r' && c->body.p[at + 1] == '\n')
		at += 2;
	v->body = arena_new_array(a, struct bytes, 1);
	v->body[0] = bytes_of(c->body.p + at, c->body.n - at);
	v->n_body = 1;
	v->eight_bit = f->eight_bit || f->utf8_header;
}

static enum rc
as_seven_bit(struct composed *c, struct variant *v, struct err *e)
{
	struct sevenbit s;
	enum rc rc = sevenbit_make(c->facts, c->body, c->arena, &s, e);
	if (rc != RC_OK)
		return rc;
	v->fields = s.fields;
	v->n_fields = s.n_fields;
	v->pieces = s.pieces;
	v->n_pieces = s.n_pieces;
	v->body = s.body;
	v->n_body = s.n_body;
	v->eight_bit = false;
	return RC_OK;
}

static enum rc
sign(const struct store_message *m, struct composed *c, const struct variant *v, struct bytes block, struct buf *out,
     struct err *e)
{
	struct bytes *fields = arena_new_array(c->arena, struct bytes, v->n_fields + BLOCK_FIELDS);
	size_t n = own_fields(block, fields, BLOCK_FIELDS);
	memcpy(fields + n, v->fields, v->n_fields * sizeof(*fields));
	struct dkim_message dm = {
	    .fields = fields,
	    .n_fields = n + v->n_fields,
	    .body = v->body,
	    .n_body = v->n_body,
	    .signed_at = m->accepted_us / 1000000,
	};
	enum rc rc = dkim_sign(&dm, (const struct dkim_key *const *)c->keys->v, c->keys->n, out, e);
	size_t k = 0;
	for (size_t i = 0; rc == RC_OK && i < c->keys->n && k < sizeof(c->signers); i++)
		k += (size_t)snprintf(c->signers + k, sizeof(c->signers) - k, "%s%s", i > 0 ? " " : "",
				      dkim_algorithm_str(dkim_key_algorithm(c->keys->v[i])));
	if (rc == RC_OK && k < sizeof(c->signers))
		snprintf(c->signers + k, sizeof(c->signers) - k, " d=%s", c->keys->domain);
	return rc;
}

enum rc
compose_build(const struct store_message *m, struct composed *c, bool seven_bit, struct err *e)
{
	struct variant v = {0};
	struct buf trace, block;
	enum rc rc = RC_OK;
	if (seven_bit)
		rc = as_seven_bit(c, &v, e);
	else
		as_stored(c, &v);
	if (rc != RC_OK)
		return rc;
	buf_init(&trace, 0);
	buf_init(&block, 0);
	snprintf(c->signers, sizeof(c->signers), "none");
	compose_trace(m, c->facts, &trace);
	if (c->keys != NULL && c->facts->has_from)
		rc = sign(m, c, &v, buf_bytes(&trace), &block, e);
	buf_add_bytes(&block, buf_bytes(&trace));
	if (rc == RC_OK && (!buf_ok(&block) || !buf_ok(&trace)))
		rc = err_set(e, RC_INTERNAL, "compose: out of memory");
	if (rc == RC_OK) {
		c->pieces = arena_new_array(c->arena, struct bytes, v.n_pieces + 1);
		c->pieces[0] = arena_bytes(c->arena, buf_bytes(&block));
		memcpy(c->pieces + 1, v.pieces, v.n_pieces * sizeof(*v.pieces));
		c->n_pieces = v.n_pieces + 1;
		c->size = 0;
		for (size_t i = 0; i < c->n_pieces; i++)
			c->size += c->pieces[i].n;
		c->eight_bit = v.eight_bit;
	}
	buf_done(&trace);
	buf_done(&block);
	return rc;
}
