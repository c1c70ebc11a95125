/* SPDX-License-Identifier: MIT
 *
 * The record: search, signed heads, proofs, export.
 */
#include <string.h>

#include "client/audit_client.h"
#include "export.h"
#include "ops.h"
#include "core/base64.h"

#define CALL(c)                                                                                                        \
	struct audit_call c = OP_CALL(api, r, "audit");                                                                \
	c.tenant = &r->holder.tenant

static const char *const outcomes[] = {"ok",	"invalid", "denied",   "not_found", "conflict",
				       "limit", "retry",   "internal", NULL};

/* given_r: there is a condition. */
static bool
read_filter(const struct api_request *r, struct api_response *w, struct audit_filter *f, struct uuid *subject,
	    bool *given_r)
{
	bool has_subject;
	const char *const actor = api_query(r, "actor"), *const action = api_query(r, "action");
	const char *const outcome = api_query(r, "outcome"), *const source = api_query(r, "source");
	*f = (struct audit_filter){
	    .actor = actor != NULL ? actor : "",
	    .action = action != NULL ? action : "",
	    .outcome = outcome != NULL ? outcome : "",
	    .source = source != NULL ? source : "",
	};
	if (!op_text(r, w, "actor", 256) || !op_text(r, w, "action", 100) || !op_word(r, w, "outcome", outcomes) ||
	    !op_text(r, w, "source", 64) || !op_uuid(r, w, "subject", &has_subject, subject) ||
	    !op_time(r, w, "from", &f->from_us) || !op_time(r, w, "until", &f->until_us))
		return false;
	if (has_subject)
		f->subject = subject;
	*given_r = f->actor[0] != '\0' || f->action[0] != '\0' || f->outcome[0] != '\0' || f->source[0] != '\0' ||
		   has_subject || f->from_us != 0 || f->until_us != 0;
	return true;
}

static void
put_entry(struct json_out *o, const struct audit_entry *x)
{
	char trace[33];
	traceparent_trace_id(x->traceparent, trace);
	json_out_open(o, NULL, '{');
	json_out_int(o, "index", (int64_t)x->index);
	json_out_uuid(o, "id", &x->id);
	json_out_time(o, "at", x->at_us);
	json_out_str(o, "service", x->service);
	json_out_str(o, "action", x->action);
	json_out_str(o, "outcome", x->outcome);
	json_out_str(o, "actor", x->actor);
	json_out_str(o, "source", x->source);
	op_put_uuid_or_null(o, "subject", &x->subject);
	op_put_number_or_null(o, "recipient", x->number, x->number >= 0 && !x->erased);
	json_out_raw(o, "detail", x->detail);
	json_out_str(o, "trace_id", trace);
	json_out_bool(o, "erased", x->erased);
	json_out_close(o, '}');
}

OP(op_audit_search)
{
	CALL(c);
	uint32_t limit;
	struct audit_filter f;
	struct uuid subject;
	bool given;
	struct audit_found found;
	const char *cursor = api_query(r, "cursor");
	if (!op_limit(r, w, AUDIT_LIMIT_MAX, &limit) || !read_filter(r, w, &f, &subject, &given))
		return RC_OK;
	enum rc rc = audit_search(&c, &f, limit == 0 ? 100 : limit, cursor != NULL ? cursor : "", r->arena, &found, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "entries", '[');
	for (size_t i = 0; i < found.n; i++)
		put_entry(&o, &found.v[i]);
	json_out_close(&o, ']');
	op_put_cursor(&o, found.next_cursor);
	json_out_int(&o, "size", (int64_t)found.size);
	return op_end(&o, w, 200);
}

/* --- heads and proofs ---------------------------------------------------------------------------------------- */
static void
put_hash(struct json_out *o, const char *name, const uint8_t hash[32])
{
	struct buf b;
	buf_init(&b, 0);
	base64_add(&b, bytes_of(hash, 32));
	json_out_bytes(o, name, buf_bytes(&b));
	buf_done(&b);
}

static void
put_head(struct json_out *o, const char *name, const struct audit_head *h)
{
	json_out_open(o, name, '{');
	json_out_int(o, "size", (int64_t)h->size);
	put_hash(o, "root", h->root);
	json_out_time(o, "at", h->at_us);
	json_out_str(o, "checkpoint", h->checkpoint);
	json_out_close(o, '}');
}

OP(op_audit_heads)
{
	CALL(c);
	uint32_t limit;
	struct audit_heads heads;
	const char *cursor = api_query(r, "cursor");
	if (!op_limit(r, w, 200, &limit))
		return RC_OK;
	enum rc rc = audit_heads(&c, limit == 0 ? 50 : limit, cursor != NULL ? cursor : "", r->arena, &heads, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "heads", '[');
	for (size_t i = 0; i < heads.n; i++)
		put_head(&o, NULL, &heads.v[i]);
	json_out_close(&o, ']');
	op_put_cursor(&o, heads.next_cursor);
	json_out_str(&o, "verifier_key", heads.verifier_key);
	return op_end(&o, w, 200);
}

static void
put_hashes(struct json_out *o, const struct audit_proof *p)
{
	json_out_open(o, "hashes", '[');
	for (size_t i = 0; i < p->n; i++)
		put_hash(o, NULL, p->hashes[i]);
	json_out_close(o, ']');
	put_head(o, "head", &p->head);
}

/* A number that must be there. */
static bool
read_required(const struct api_request *r, struct api_response *w, const char *name, uint64_t *v_r)
{
	bool given;
	if (!op_number(r, w, name, &given, v_r))
		return false;
	if (!given)
		problem_set(r, w, "invalid_parameter", arena_printf(r->arena, "?%s", name), "%s is required", name);
	return given;
}

OP(op_audit_inclusion)
{
	CALL(c);
	uint64_t index, size;
	bool given;
	struct audit_proof p = {0};
	if (!read_required(r, w, "index", &index) || !op_number(r, w, "size", &given, &size))
		return RC_OK;
	enum rc rc = audit_prove_inclusion(&c, index, size, r->arena, &p, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_int(&o, "index", (int64_t)index);
	json_out_int(&o, "size", (int64_t)(size != 0 ? size : p.head.size));
	put_hash(&o, "leaf", p.leaf);
	put_hashes(&o, &p);
	return op_end(&o, w, 200);
}

OP(op_audit_consistency)
{
	CALL(c);
	uint64_t first, size;
	bool given;
	struct audit_proof p = {0};
	if (!read_required(r, w, "first", &first) || !op_number(r, w, "size", &given, &size))
		return RC_OK;
	enum rc rc = audit_prove_consistency(&c, first, size, r->arena, &p, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_int(&o, "first", (int64_t)first);
	json_out_int(&o, "size", (int64_t)(size != 0 ? size : p.head.size));
	put_hashes(&o, &p);
	return op_end(&o, w, 200);
}

OP(op_audit_export)
{
	static const char *const formats[] = {"jsonl", "csv", NULL};
	struct export_wish wish = {0};
	struct uuid subject;
	bool given;
	const char *format = api_query(r, "format");
	if (!op_word(r, w, "format", formats) || !op_number(r, w, "first", &given, &wish.first) ||
	    !read_filter(r, w, &wish.filter, &subject, &wish.filtered))
		return RC_OK;
	wish.csv = format != NULL && strcmp(format, "csv") == 0;
	enum rc rc = exports_begin(api->exports, r, &wish, w, e);
	if (rc != RC_OK)
		return rc;
	w->status = 200;
	w->content_type = wish.csv ? "text/csv; charset=utf-8" : "application/jsonl";
	return RC_OK;
}
