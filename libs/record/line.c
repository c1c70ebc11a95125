/* SPDX-License-Identifier: MIT */
#include "record/line.h"

#include <jansson.h>
#include <string.h>

#include "core/base64.h"

/* --- write ----------------------------------------------------------------------------------------------------- */
static void
add_hashes(struct buf *out, const char *name, const struct merkle_hash *h, size_t n)
{
	if (h == NULL)
		return;
	buf_addf(out, ",\"%s\":[", name);
	for (size_t i = 0; i < n; i++) {
		buf_add_str(out, i > 0 ? ",\"" : "\"");
		base64_add(out, bytes_of(h[i].b, MERKLE_SIZE));
		buf_add_str(out, "\"");
	}
	buf_add_str(out, "]");
}

void
line_write_header(struct buf *out, const struct uuid *tenant, uint64_t size, struct bytes key, struct bytes checkpoint,
		  struct bytes filter, const struct merkle_frontier *before)
{
	char id[UUID_STR_SIZE];
	uuid_format(tenant, id);
	buf_addf(out, "{\"format\":\"" LINE_FORMAT "\",\"tenant\":\"%s\",\"size\":%llu,\"key\":", id,
		 (unsigned long long)size);
	buf_add_json(out, key);
	buf_add_str(out, ",\"checkpoint\":");
	buf_add_json(out, checkpoint);
	buf_add_str(out, ",\"filter\":");
	if (filter.n > 0)
		buf_add_bytes(out, filter);
	else
		buf_add_str(out, "null");
	if (before != NULL && before->size > 0) {
		buf_addf(out, ",\"first\":%llu", (unsigned long long)before->size);
		add_hashes(out, "before", before->h, (size_t)before->n);
	}
	buf_add_str(out, "}\n");
}

void
line_write_entry(struct buf *out, uint64_t index, const struct merkle_hash *leaf, const uint8_t *salt,
		 const struct merkle_hash *proof, size_t n_proof, struct bytes record)
{
	buf_addf(out, "{\"index\":%llu,\"leaf\":\"", (unsigned long long)index);
	hex_add(out, bytes_of(leaf->b, MERKLE_SIZE));
	if (salt == NULL) {
		buf_add_str(out, "\",\"erased\":true");
		add_hashes(out, "proof", proof, n_proof);
		buf_add_str(out, "}\n");
		return;
	}
	buf_add_str(out, "\",\"salt\":\"");
	hex_add(out, bytes_of(salt, RECORD_SALT_SIZE));
	buf_add_str(out, "\"");
	add_hashes(out, "proof", proof, n_proof);
	buf_add_str(out, ",\"record\":");
	buf_add_bytes(out, record);
	buf_add_str(out, "}\n");
}

void
line_write_head(struct buf *out, struct bytes checkpoint)
{
	buf_add_str(out, "{\"head\":");
	buf_add_json(out, checkpoint);
	buf_add_str(out, "}\n");
}

/* --- read ------------------------------------------------------------------------------------------------------ */
static bool
eat(struct bytes *t, const char *s)
{
	size_t n = strlen(s);
	if (t->n < n || memcmp(t->p, s, n) != 0)
		return false;
	*t = bytes_of(t->p + n, t->n - n);
	return true;
}

static bool
eat_number(struct bytes *t, uint64_t *out_r)
{
	uint64_t v = 0;
	size_t n = 0;
	for (; n < t->n && n < 19 && t->p[n] >= '0' && t->p[n] <= '9'; n++)
		v = v * 10 + (uint64_t)(t->p[n] - '0');
	if (n == 0 || (n > 1 && t->p[0] == '0'))
		return false;
	*t = bytes_of(t->p + n, t->n - n);
	*out_r = v;
	return true;
}

static bool
eat_hex(struct bytes *t, uint8_t out[32])
{
	if (t->n < 64 || !hex_take(bytes_of(t->p, 64), out, 32))
		return false;
	*t = bytes_of(t->p + 64, t->n - 64);
	return true;
}

static bool
eat_proof(struct bytes *t, struct line *l)
{
	l->has_proof = eat(t, ",\"proof\":[");
	if (!l->has_proof || eat(t, "]"))
		return true;
	do {
		if (l->n_proof == MERKLE_PROOF_MAX || t->n < 46 || t->p[0] != '"' || t->p[45] != '"' ||
		    !base64_take(bytes_of(t->p + 1, 44), l->proof[l->n_proof].b, MERKLE_SIZE))
			return false;
		l->n_proof++;
		*t = bytes_of(t->p + 46, t->n - 46);
	} while (eat(t, ","));
	return eat(t, "]");
}

static bool
parse_entry(struct bytes t, struct line *l)
{
	if (!eat(&t, "{\"index\":") || !eat_number(&t, &l->index) || !eat(&t, ",\"leaf\":\"") ||
	    !eat_hex(&t, l->leaf.b))
		return false;
	if (eat(&t, "\",\"erased\":true")) {
		l->kind = LINE_ERASED;
		return eat_proof(&t, l) && t.n == 1 && t.p[0] == '}';
	}
	l->kind = LINE_ENTRY;
	if (!eat(&t, "\",\"salt\":\"") || !eat_hex(&t, l->salt) || !eat(&t, "\"") || !eat_proof(&t, l) ||
	    !eat(&t, ",\"record\":") || t.n < 3 || t.p[0] != '{' || t.p[t.n - 1] != '}' || t.p[t.n - 2] != '}')
		return false;
	l->record = bytes_of(t.p, t.n - 1);
	return true;
}

static bool
take_note(const json_t *v, char out[NOTE_MAX], size_t *n_r)
{
	size_t n = json_is_string(v) ? json_string_length(v) : 0;
	if (n == 0 || n > NOTE_MAX)
		return false;
	memcpy(out, json_string_value(v), n);
	*n_r = n;
	return true;
}

enum rc
line_parse(struct bytes text, struct line *out_r, struct err *e)
{
	struct line *l = out_r;
	if (text.n > LINE_OCTETS_MAX)
		return err_set(e, RC_LIMIT, "a line of more than %u octets", LINE_OCTETS_MAX);
	l->has_proof = false;
	l->n_proof = 0;
	if (text.n > 8 && memcmp(text.p, "{\"head\":", 8) == 0) {
		json_t *o = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
		bool ok = json_is_object(o) && json_object_size(o) == 1 &&
			  take_note(json_object_get(o, "head"), l->note, &l->n_note);
		json_decref(o);
		l->kind = LINE_HEAD;
		return ok ? RC_OK : err_set(e, RC_INVALID, "not a head");
	}
	return parse_entry(text, l) ? RC_OK : err_set(e, RC_INVALID, "not as an export writes its lines");
}

static bool
take_before(const json_t *o, struct merkle_frontier *f)
{
	const json_t *first = json_object_get(o, "first"), *v = json_object_get(o, "before");
	*f = (struct merkle_frontier){0};
	if (first == NULL && v == NULL)
		return true;
	if (!json_is_integer(first) || json_integer_value(first) <= 0 || !json_is_array(v))
		return false;
	f->size = (uint64_t)json_integer_value(first);
	f->n = merkle_frontier_count(f->size);
	if (json_array_size(v) != (size_t)f->n)
		return false;
	for (int i = 0; i < f->n; i++) {
		const json_t *h = json_array_get(v, (size_t)i);
		if (!json_is_string(h) ||
		    !base64_take(bytes_of(json_string_value(h), json_string_length(h)), f->h[i].b, MERKLE_SIZE))
			return false;
	}
	return true;
}

static bool
take_header(const json_t *o, struct line_header *h, struct err *e)
{
	const char *format = json_string_value(json_object_get(o, "format"));
	const char *tenant = json_string_value(json_object_get(o, "tenant"));
	const json_t *size = json_object_get(o, "size"), *key = json_object_get(o, "key"),
		     *filter = json_object_get(o, "filter");
	if (format == NULL || strcmp(format, LINE_FORMAT) != 0 || tenant == NULL || !uuid_parse(tenant, &h->tenant) ||
	    !json_is_integer(size) || json_integer_value(size) < 0 || !json_is_string(key) ||
	    !take_note(json_object_get(o, "checkpoint"), h->checkpoint, &h->n_checkpoint) ||
	    !(json_is_null(filter) || json_is_object(filter)))
		return false;
	if (!take_before(o, &h->before))
		return false;
	h->size = (uint64_t)json_integer_value(size);
	h->filtered = json_is_object(filter);
	return note_key_parse(bytes_of(json_string_value(key), json_string_length(key)), &h->key, e) == RC_OK;
}

enum rc
line_parse_header(struct bytes text, struct line_header *out_r, struct err *e)
{
	if (text.n > LINE_OCTETS_MAX)
		return err_set(e, RC_LIMIT, "a line of more than %u octets", LINE_OCTETS_MAX);
	json_t *o = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	bool ok = take_header(o, out_r, NULL);
	json_decref(o);
	return ok ? RC_OK : err_set(e, RC_INVALID, "not the first line of an export (" LINE_FORMAT ")");
}
