/* SPDX-License-Identifier: MIT
 *
 * Pages of an export: JSON lines that the offline verifier reads, or CSV for people. The first page names the signed
 * head all pages belong to. Each page is on the record, with its filter, count and SHA-256.
 */
#include <stdio.h>

#include "core/clock.h"
#include "core/log.h"
#include "handlers.h"
#include "core/base64.h"
#include "record/entry.h"
#include "record/line.h"

#define LINES_MAX     5000
#define LINES_DEFAULT 1000
#define PAGE_OCTETS   (4u * 1024 * 1024)
#define WINDOW	      20000 /* entries one filtered page looks at */

struct page {
	const struct svc_request *r;
	const Sekisho__Audit__ExportRequest *q;
	struct db_tx *tx;
	struct arena *a;
	const struct uuid *tenant;
	struct store_head head;
	struct store_filter filter;
	struct bytes filter_json; /* empty: none */
	struct buf out;
	uint64_t next;
	uint32_t count;
};

static void
add_condition(struct buf *b, const char *name, const char *value)
{
	if (value[0] == 0)
		return;
	buf_addf(b, "%s\"%s\":", b->n > 1 ? "," : "", name);
	buf_add_json(b, bytes_str(value));
}

/* The filter as the header and the record say it. */
static struct bytes
filter_json(const Sekisho__Audit__SearchRequest *f, const struct store_filter *taken, struct arena *a)
{
	struct buf b;
	char text[UUID_STR_SIZE > CLOCK_RFC3339_SIZE ? UUID_STR_SIZE : CLOCK_RFC3339_SIZE];
	buf_init(&b, 0);
	buf_add_str(&b, "{");
	add_condition(&b, "action", f->action);
	add_condition(&b, "actor", f->actor);
	if (f->from_us != 0) {
		clock_rfc3339(f->from_us, text);
		add_condition(&b, "from", text);
	}
	add_condition(&b, "outcome", f->outcome);
	add_condition(&b, "source", f->source);
	if (taken->has_subject) {
		uuid_format(&taken->subject, text);
		add_condition(&b, "subject", text);
	}
	if (f->until_us != 0) {
		clock_rfc3339(f->until_us, text);
		add_condition(&b, "until", text);
	}
	buf_add_str(&b, "}");
	struct bytes json = arena_bytes(a, buf_bytes(&b));
	buf_done(&b);
	return json;
}

/* --- CSV --------------------------------------------------------------------------------------------------------- */
/* Quoted; a spreadsheet must not take foreign text for a formula. */
static void
add_cell(struct buf *b, struct bytes v, bool last)
{
	buf_add_str(b, "\"");
	if (v.n > 0 && memchr("=+-@\t\r", v.p[0], 6) != NULL)
		buf_add_str(b, "'");
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '"')
			buf_add_str(b, "\"");
		buf_add(b, &v.p[i], 1);
	}
	buf_add_str(b, last ? "\"\r\n" : "\",");
}

static enum rc
add_csv(struct page *p, const struct store_entry *v, const struct opened *o, struct err *e)
{
	struct record_entry r = {.service = "", .action = "", .outcome = "erased", .trace = "", .number = -1};
	char at[CLOCK_RFC3339_SIZE], subject[UUID_STR_SIZE], id[UUID_STR_SIZE];
	if (!o->erased) {
		enum rc rc = record_entry_parse(o->record, p->a, &r, e);
		if (rc != RC_OK)
			return rc;
	}
	clock_rfc3339(v->at_us, at);
	uuid_format(&r.subject, subject);
	uuid_format(&v->intent, id);
	buf_addf(&p->out, "%llu,", (unsigned long long)v->index);
	add_cell(&p->out, bytes_str(at), false);
	add_cell(&p->out, bytes_str(r.service), false);
	add_cell(&p->out, bytes_str(r.action), false);
	add_cell(&p->out, bytes_str(r.outcome), false);
	add_cell(&p->out, r.actor, false);
	add_cell(&p->out, r.source, false);
	add_cell(&p->out, bytes_str(uuid_is_nil(&r.subject) ? "" : subject), false);
	if (r.number >= 0)
		buf_addf(&p->out, "%d", r.number);
	buf_add_str(&p->out, ",");
	add_cell(&p->out, r.detail, false);
	add_cell(&p->out, bytes_str(r.trace), false);
	add_cell(&p->out, bytes_str(id), true);
	return RC_OK;
}

/* --- lines ------------------------------------------------------------------------------------------------------- */
static enum rc
add_header(struct page *p, struct err *e)
{
	struct merkle_frontier before = {0};
	if (p->q->csv) {
		/* The mark lets spreadsheets see that it is UTF-8. */
		buf_add_str(&p->out,
			    "\xef\xbb\xbfindex,time,service,action,outcome,actor,source,subject,recipient,detail,"
			    "trace,id\r\n");
		return RC_OK;
	}
	if (p->q->first > 0 && p->filter_json.n == 0) {
		struct tiles_reader tiles = store_tiles_reader(store_tiles_new(p->tx, p->tenant, p->a));
		enum rc rc = tiles_frontier(&tiles, p->q->first, &before, e);
		if (rc != RC_OK)
			return rc;
	}
	struct buf key;
	buf_init(&key, 0);
	heads_key(p->tenant, &key);
	line_write_header(&p->out, p->tenant, p->head.size, buf_bytes(&key), p->head.checkpoint, p->filter_json,
			  &before);
	buf_done(&key);
	return RC_OK;
}

static enum rc
add_entry(struct page *p, const struct store_entry *v, const struct tiles_reader *tiles, struct err *e)
{
	struct opened o;
	struct merkle_hash proof[MERKLE_PROOF_MAX];
	size_t n = 0;
	enum rc rc = entry_open(p->tenant, v, p->a, &o, e);
	if (rc == RC_INTERNAL) {
		/* Its place is proven all the same; the verifier counts it. */
		log_error("an entry was exported without its content", LOG_TENANT(p->tenant),
			  LOG_INT("index", v->index), LOG_ERR(e));
		o = (struct opened){.erased = true};
		rc = RC_OK;
	}
	if (rc == RC_OK && p->q->csv)
		return add_csv(p, v, &o, e);
	if (rc == RC_OK && p->filter_json.n > 0)
		rc = tiles_inclusion(tiles, v->index, p->head.size, proof, &n, e);
	if (rc == RC_OK)
		line_write_entry(&p->out, v->index, &v->leaf, o.erased ? NULL : o.salt,
				 p->filter_json.n > 0 ? proof : NULL, n, o.record);
	return rc;
}

static enum rc
add_lines(struct page *p, int limit, struct err *e)
{
	struct tiles_reader tiles = store_tiles_reader(store_tiles_new(p->tx, p->tenant, p->a));
	bool filtered = p->filter_json.n > 0, whole = true;
	uint64_t first = p->q->first, end = p->head.size;
	struct store_entry *v;
	struct store_head *heads = NULL;
	size_t n = 0, n_heads = 0, h = 0;
	if (filtered && end > first + WINDOW)
		end = first + WINDOW;
	enum rc rc = store_range(p->tx, p->tenant, filtered ? &p->filter : NULL, first, end, limit, p->a, &v, &n, e);
	if (rc == RC_OK && n > 0 && !filtered && !p->q->csv)
		rc = store_heads_between(p->tx, p->tenant, first, v[n - 1].index + 1, p->a, &heads, &n_heads, e);
	for (size_t i = 0; rc == RC_OK && whole && i < n; i++) {
		rc = add_entry(p, &v[i], &tiles, e);
		p->count++;
		p->next = v[i].index + 1;
		if (rc == RC_OK && h < n_heads && heads[h].size == p->next)
			line_write_head(&p->out, heads[h++].checkpoint);
		whole = p->out.n < PAGE_OCTETS;
	}
	if (rc == RC_OK && whole && n < (size_t)limit) {
		if (!filtered && p->next < end)
			return err_set(e, RC_INTERNAL, "the log has holes in the database");
		p->next = end;
	}
	return rc;
}

static void
put_on_record(const struct page *p)
{
	struct merkle_hash sum;
	struct buf b;
	merkle_sha256(buf_bytes(&p->out), &sum);
	buf_init(&b, 0);
	buf_addf(&b, "{\"count\":%u,\"csv\":%s,\"filter\":", p->count, p->q->csv ? "true" : "false");
	if (p->filter_json.n > 0)
		buf_add_bytes(&b, p->filter_json);
	else
		buf_add_str(&b, "null");
	buf_addf(&b, ",\"first\":%llu,\"next\":%llu,\"sha256\":\"", (unsigned long long)p->q->first,
		 (unsigned long long)p->next);
	hex_add(&b, bytes_of(sum.b, sizeof(sum.b)));
	buf_addf(&b, "\",\"size\":%llu}", (unsigned long long)p->head.size);
	svc_record_detail(p->r, buf_bytes(&b));
	buf_done(&b);
}

static enum rc
make_page(struct page *p, int limit, struct err *e)
{
	enum rc rc = p->q->size == 0 ? handlers_last_head(p->tx, p->tenant, p->a, &p->head, e)
				     : store_head_of(p->tx, p->tenant, p->q->size, p->a, &p->head, e);
	if (rc != RC_OK)
		return rc;
	if (p->q->first > p->head.size)
		return err_set(e, RC_INVALID, "first is beyond the %llu entries of the head",
			       (unsigned long long)p->head.size);
	if (p->q->size == 0)
		rc = add_header(p, e);
	if (rc != RC_OK)
		return rc;
	p->next = p->q->first;
	return add_lines(p, limit, e);
}

enum rc
audit_handle_export(const struct svc_request *r, struct buf *reply, struct err *e)
{
	void *unpacked;
	struct page p = {.r = r, .a = r->in->arena, .tenant = &r->in->tenant};
	enum rc rc = handlers_unpack(r, &sekisho__audit__export_request__descriptor, &unpacked, e);
	if (rc != RC_OK)
		return rc;
	p.q = unpacked;
	if (p.q->limit > LINES_MAX || p.q->first > INT64_MAX || p.q->size > INT64_MAX)
		return err_set(e, RC_INVALID, "limit: at most %d", LINES_MAX);
	if (p.q->filter != NULL) {
		if ((rc = handlers_filter(p.q->filter, p.a, &p.filter, e)) != RC_OK)
			return rc;
		p.filter_json = filter_json(p.q->filter, &p.filter, p.a);
	}
	if (p.q->size == 0 && (rc = heads_now(p.tenant, e)) != RC_OK)
		return rc;
	if ((rc = handlers_begin(r, &p.tx, e)) != RC_OK)
		return rc;
	buf_init(&p.out, 0);
	rc = make_page(&p, p.q->limit != 0 ? (int)p.q->limit : LINES_DEFAULT, e);
	db_end(&p.tx);
	if (rc == RC_OK) {
		Sekisho__Audit__ExportReply out = SEKISHO__AUDIT__EXPORT_REPLY__INIT;
		put_on_record(&p);
		out.lines = handlers_data(buf_bytes(&p.out));
		out.next = p.next;
		out.size = p.head.size;
		out.done = p.next >= p.head.size;
		out.count = p.count;
		rc = handlers_pack(&out.base, reply, e);
	}
	buf_done(&p.out);
	return rc;
}
