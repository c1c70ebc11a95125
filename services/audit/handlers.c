/* SPDX-License-Identifier: MIT
 *
 * Requests: search, heads, proofs, events, the last head. Each reads in one snapshot of the asker's tenant.
 */
#include "handlers.h"

#include <stdio.h>

#include "core/log.h"
#include "record/entry.h"

#define LIMIT_MAX     1000
#define LIMIT_DEFAULT 100

static void *
arena_take(void *a, size_t n)
{
	return arena_alloc(a, n);
}

static void
arena_leave(void *a, void *p)
{
}

enum rc
handlers_unpack(const struct svc_request *r, const ProtobufCMessageDescriptor *type, void **out_r, struct err *e)
{
	ProtobufCAllocator in_arena = {arena_take, arena_leave, r->in->arena};
	if (r->in->payload.n > HANDLERS_REQUEST_MAX)
		return err_set(e, RC_LIMIT, "the request is too large");
	*out_r = protobuf_c_message_unpack(type, &in_arena, r->in->payload.n, r->in->payload.p);
	return *out_r != NULL ? RC_OK : err_set(e, RC_INVALID, "the request does not decode");
}

enum rc
handlers_pack(const ProtobufCMessage *m, struct buf *reply, struct err *e)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *to = n <= BUS_PAYLOAD_MAX - 1024 ? buf_reserve(reply, n) : NULL;
	if (to == NULL)
		return err_set(e, RC_LIMIT, "the answer is too large: ask for less at once");
	reply->n += protobuf_c_message_pack(m, to);
	return RC_OK;
}

ProtobufCBinaryData
handlers_data(struct bytes b)
{
	return (ProtobufCBinaryData){b.n, (uint8_t *)b.p};
}

/* An object and its pointer, with what protobuf-c needs set. */
#define MESSAGES(a, n, type, init, list)                                                                               \
	type **list = arena_new_array((a), type *, (n) + 1);                                                           \
	for (size_t m_ = 0; m_ < (n); m_++) {                                                                          \
		list[m_] = arena_alloc((a), sizeof(type));                                                             \
		*list[m_] = (type)init;                                                                                \
	}

static enum rc
take_limit(uint32_t asked, int *out_r, struct err *e)
{
	if (asked > LIMIT_MAX)
		return err_set(e, RC_INVALID, "limit: at most %d", LIMIT_MAX);
	*out_r = asked != 0 ? (int)asked : LIMIT_DEFAULT;
	return RC_OK;
}

enum rc
handlers_begin(const struct svc_request *r, struct db_tx **tx_r, struct err *e)
{
	struct db_tx *tx = NULL;
	/* The nil tenant is the platform's own log. */
	enum rc rc = db_begin_snapshot(audit.svc->db, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = db_set_tenant(tx, &r->in->tenant, e);
	if (rc == RC_OK)
		*tx_r = tx;
	else
		db_end(&tx);
	return rc;
}

/* --- search ------------------------------------------------------------------------------------------------------ */
enum rc
handlers_filter(const Sekisho__Audit__SearchRequest *q, struct arena *a, struct store_filter *out_r, struct err *e)
{
	struct store_filter f = {.from_us = q->from_us != 0 ? q->from_us : DB_TIME_NULL,
				 .until_us = q->until_us != 0 ? q->until_us : DB_TIME_NULL,
				 .actor = bytes_str(q->actor),
				 .source = bytes_str(q->source),
				 .action = q->action,
				 .outcome = q->outcome};
	size_t n = strlen(q->action);
	if (q->from_us < 0 || q->until_us < 0 || q->from_us > STORE_LAST_US || q->until_us > STORE_LAST_US)
		return err_set(e, RC_INVALID, "a time out of range");
	if (n > 200 || strlen(q->actor) > 500 || strlen(q->source) > 100 || strlen(q->outcome) > 50)
		return err_set(e, RC_INVALID, "a condition is too long");
	if (n > 1 && q->action[n - 1] == '.') {
		char *end = arena_strdup(a, q->action);
		end[n - 1] = '.' + 1;
		f.action_end = end;
	}
	if (q->subject.len == 16) {
		f.has_subject = true;
		memcpy(f.subject.b, q->subject.data, 16);
	} else if (q->subject.len != 0) {
		return err_set(e, RC_INVALID, "subject: 16 octets");
	}
	*out_r = f;
	return RC_OK;
}

static enum rc
take_cursor(const char *text, int64_t *us_r, uint64_t *index_r, struct err *e)
{
	unsigned long long us, index;
	int end = 0;
	if (text[0] == 0)
		return RC_OK;
	if (strlen(text) > 40 || sscanf(text, "%16llx.%16llx%n", &us, &index, &end) != 2 || text[end] != 0 ||
	    us > (unsigned long long)STORE_LAST_US || index > INT64_MAX)
		return err_set(e, RC_INVALID, "the cursor is none of this list");
	*us_r = (int64_t)us;
	*index_r = index;
	return RC_OK;
}

static void
encode_entry(const struct store_entry *v, const struct record_entry *r, Sekisho__Audit__Entry *out, struct arena *a)
{
	out->index = v->index;
	out->at_us = r->at_us;
	out->service = (char *)r->service;
	out->action = (char *)r->action;
	out->outcome = (char *)r->outcome;
	out->actor = handlers_data(r->actor);
	out->source = arena_strndup(a, r->source.p, r->source.n);
	out->subject = handlers_data(bytes_of(arena_bytes(a, bytes_of(r->subject.b, 16)).p, 16));
	out->number = r->number;
	out->detail = handlers_data(r->detail);
	out->traceparent = (char *)r->trace;
	out->id = handlers_data(arena_bytes(a, bytes_of(r->id.b, 16)));
}

/* What is shown comes from the sealed record, never from the plain columns, which no leaf vouches for. */
static enum rc
open_entry(const struct uuid *tenant, const struct store_entry *v, struct arena *a, struct record_entry *out_r,
	   bool *erased_r, struct err *e)
{
	struct opened o;
	enum rc rc = entry_open(tenant, v, a, &o, e);
	if (rc == RC_OK && !o.erased)
		rc = record_entry_parse(o.record, a, out_r, e);
	if (rc == RC_INTERNAL || rc == RC_INVALID) { /* one entry, and not the list */
		log_error("an entry is listed without its content", LOG_TENANT(tenant), LOG_INT("index", v->index),
			  LOG_ERR(e));
		o.erased = true;
		rc = RC_OK;
	}
	*erased_r = o.erased;
	if (rc == RC_OK && o.erased)
		*out_r = (struct record_entry){.id = v->intent,
					       .at_us = v->at_us,
					       .service = "",
					       .action = "",
					       .outcome = "",
					       .number = -1,
					       .trace = ""};
	return rc;
}

enum rc
audit_handle_search(const struct svc_request *r, struct buf *reply, struct err *e)
{
	void *unpacked;
	struct arena *a = r->in->arena;
	struct store_filter f;
	struct store_entry *v;
	struct db_tx *tx = NULL;
	struct merkle_hash root;
	size_t n = 0;
	int limit = 0;
	int64_t before_us = DB_TIME_NULL;
	uint64_t before_index = 0, size = 0;
	enum rc rc = handlers_unpack(r, &sekisho__audit__search_request__descriptor, &unpacked, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Audit__SearchRequest *q = unpacked;
	if ((rc = take_limit(q->limit, &limit, e)) != RC_OK || (rc = handlers_filter(q, a, &f, e)) != RC_OK ||
	    (rc = take_cursor(q->cursor, &before_us, &before_index, e)) != RC_OK)
		return rc;
	if ((rc = handlers_begin(r, &tx, e)) != RC_OK)
		return rc;
	rc = store_tree(tx, &r->in->tenant, &size, &root, e);
	if (rc == RC_OK)
		rc = store_search(tx, &r->in->tenant, &f, before_us, before_index, limit + 1, a, &v, &n, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Audit__SearchReply out = SEKISHO__AUDIT__SEARCH_REPLY__INIT;
	bool more = n > (size_t)limit, erased;
	n = more ? (size_t)limit : n;
	MESSAGES(a, n, Sekisho__Audit__Entry, SEKISHO__AUDIT__ENTRY__INIT, list);
	for (size_t i = 0; i < n; i++) {
		struct record_entry entry;
		rc = open_entry(&r->in->tenant, &v[i], a, &entry, &erased, e);
		if (rc != RC_OK)
			return rc;
		encode_entry(&v[i], &entry, list[i], a);
	}
	out.entries = list;
	out.n_entries = n;
	out.size = size;
	if (more)
		out.next_cursor = arena_printf(a, "%llx.%llx", (unsigned long long)v[n - 1].at_us,
					       (unsigned long long)v[n - 1].index);
	return handlers_pack(&out.base, reply, e);
}

/* --- heads ------------------------------------------------------------------------------------------------------- */
static void
encode_head(const struct store_head *v, Sekisho__Audit__Head *out, struct arena *a)
{
	out->size = v->size;
	out->root = handlers_data(arena_bytes(a, bytes_of(v->root.b, MERKLE_SIZE)));
	out->at_us = v->at_us;
	out->checkpoint = arena_strndup(a, v->checkpoint.p, v->checkpoint.n);
}

static char *
key_text(const struct uuid *tenant, struct arena *a)
{
	struct buf b;
	buf_init(&b, 0);
	heads_key(tenant, &b);
	char *text = arena_strndup(a, b.p, b.n);
	buf_done(&b);
	return text;
}

enum rc
audit_handle_heads(const struct svc_request *r, struct buf *reply, struct err *e)
{
	void *unpacked;
	struct arena *a = r->in->arena;
	struct store_head *v;
	struct db_tx *tx = NULL;
	size_t n = 0;
	int limit = 0, end = 0;
	unsigned long long below = UINT64_MAX;
	enum rc rc = handlers_unpack(r, &sekisho__audit__heads_request__descriptor, &unpacked, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Audit__HeadsRequest *q = unpacked;
	if ((rc = take_limit(q->limit, &limit, e)) != RC_OK)
		return rc;
	if (q->cursor[0] != 0 &&
	    (strlen(q->cursor) > 16 || sscanf(q->cursor, "%16llx%n", &below, &end) != 1 || q->cursor[end] != 0))
		return err_set(e, RC_INVALID, "the cursor is none of this list");
	if ((rc = handlers_begin(r, &tx, e)) != RC_OK)
		return rc;
	rc = store_heads(tx, &r->in->tenant, below, limit + 1, a, &v, &n, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Audit__HeadsReply out = SEKISHO__AUDIT__HEADS_REPLY__INIT;
	bool more = n > (size_t)limit;
	n = more ? (size_t)limit : n;
	MESSAGES(a, n, Sekisho__Audit__Head, SEKISHO__AUDIT__HEAD__INIT, list);
	for (size_t i = 0; i < n; i++)
		encode_head(&v[i], list[i], a);
	out.heads = list;
	out.n_heads = n;
	out.verifier_key = key_text(&r->in->tenant, a);
	if (more)
		out.next_cursor = arena_printf(a, "%llx", (unsigned long long)v[n - 1].size);
	return handlers_pack(&out.base, reply, e);
}

enum rc
handlers_last_head(struct db_tx *tx, const struct uuid *tenant, struct arena *a, struct store_head *out_r,
		   struct err *e)
{
	struct store_head *v;
	size_t n = 0;
	enum rc rc = store_heads(tx, tenant, INT64_MAX, 1, a, &v, &n, e);
	if (rc == RC_OK && n == 0)
		return err_set(e, RC_NOT_FOUND, "no head was signed yet");
	if (rc == RC_OK)
		*out_r = v[0];
	return rc;
}

enum rc
audit_handle_last_head(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct store_head head;
	struct db_tx *tx = NULL;
	enum rc rc = heads_now(&r->in->tenant, e);
	if (rc == RC_OK)
		rc = handlers_begin(r, &tx, e);
	if (rc != RC_OK)
		return rc;
	rc = handlers_last_head(tx, &r->in->tenant, r->in->arena, &head, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Audit__LastHeadReply out = SEKISHO__AUDIT__LAST_HEAD_REPLY__INIT;
	Sekisho__Audit__Head m = SEKISHO__AUDIT__HEAD__INIT;
	encode_head(&head, &m, r->in->arena);
	out.head = &m;
	out.verifier_key = key_text(&r->in->tenant, r->in->arena);
	return handlers_pack(&out.base, reply, e);
}

/* --- proofs ------------------------------------------------------------------------------------------------------ */
static enum rc
make_proof(struct db_tx *tx, const struct svc_request *r, const Sekisho__Audit__ProveRequest *q,
	   struct store_head *head, struct merkle_hash *leaf, struct merkle_hash proof[MERKLE_PROOF_MAX], size_t *n_r,
	   struct err *e)
{
	struct arena *a = r->in->arena;
	const struct uuid *t = &r->in->tenant;
	struct tiles_reader tiles = store_tiles_reader(store_tiles_new(tx, t, a));
	struct merkle_hash root;
	uint64_t size = 0;
	enum rc rc = store_tree(tx, t, &size, &root, e);
	if (rc == RC_OK && q->size == 0)
		rc = handlers_last_head(tx, t, a, head, e);
	if (rc != RC_OK)
		return rc;
	if (q->size != 0) {
		if (q->size > size)
			return err_set(e, RC_NOT_FOUND, "the log has only %llu entries", (unsigned long long)size);
		rc = store_head_of(tx, t, q->size, a, head, e);
		if (rc == RC_NOT_FOUND) { /* any size can be proven; only nobody signed it */
			*head = (struct store_head){.size = q->size};
			rc = tiles_root(&tiles, q->size, &head->root, e);
		}
		if (rc != RC_OK)
			return rc;
	}
	if (q->consistency) {
		if (q->first > head->size)
			return err_set(e, RC_NOT_FOUND, "the tree of %llu entries has no beginning of %llu",
				       (unsigned long long)head->size, (unsigned long long)q->first);
		return tiles_consistency(&tiles, q->first, head->size, proof, n_r, e);
	}
	if (q->index >= head->size)
		return err_set(e, RC_NOT_FOUND, "there is no entry %llu among %llu", (unsigned long long)q->index,
			       (unsigned long long)head->size);
	rc = tiles_leaf(&tiles, q->index, leaf, e);
	return rc == RC_OK ? tiles_inclusion(&tiles, q->index, head->size, proof, n_r, e) : rc;
}

enum rc
audit_handle_prove(const struct svc_request *r, struct buf *reply, struct err *e)
{
	void *unpacked;
	struct arena *a = r->in->arena;
	struct store_head head = {0};
	struct merkle_hash proof[MERKLE_PROOF_MAX], leaf = {0};
	struct db_tx *tx = NULL;
	size_t n = 0;
	enum rc rc = handlers_unpack(r, &sekisho__audit__prove_request__descriptor, &unpacked, e);
	if (rc != RC_OK || (rc = handlers_begin(r, &tx, e)) != RC_OK)
		return rc;
	const Sekisho__Audit__ProveRequest *q = unpacked;
	rc = make_proof(tx, r, q, &head, &leaf, proof, &n, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Audit__ProveReply out = SEKISHO__AUDIT__PROVE_REPLY__INIT;
	Sekisho__Audit__Head m = SEKISHO__AUDIT__HEAD__INIT;
	out.hashes = arena_new_array(a, ProtobufCBinaryData, n + 1);
	for (size_t i = 0; i < n; i++)
		out.hashes[i] = handlers_data(bytes_of(proof[i].b, MERKLE_SIZE));
	out.n_hashes = n;
	encode_head(&head, &m, a);
	out.head = &m;
	if (!q->consistency)
		out.leaf = handlers_data(bytes_of(leaf.b, MERKLE_SIZE));
	return handlers_pack(&out.base, reply, e);
}
