/* SPDX-License-Identifier: MIT
 *
 * What the sink of a sandbox tenant took, for those who test with it. Other tenants have an empty one.
 */
#include "handlers.h"

#include "codec.h"
#include "facts_read.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     200
#define CONTENT_MAX   (7u * 1024 * 1024) /* an answer has to fit into a message of the bus */

static const char BAD[] = "request does not decode, or is of no tenant";

static Sekisho__Delivery__SandboxMail *
mail(const struct store_sandbox_mail *m, const char *subject, struct arena *a)
{
	Sekisho__Delivery__SandboxMail *out = arena_new_array(a, Sekisho__Delivery__SandboxMail, 1);
	size_t n = 1;
	sekisho__delivery__sandbox_mail__init(out);
	out->id = (ProtobufCBinaryData){sizeof(m->id.b), (uint8_t *)(uintptr_t)m->id.b};
	out->message = (ProtobufCBinaryData){sizeof(m->message.b), (uint8_t *)(uintptr_t)m->message.b};
	out->at_us = m->at_us;
	out->mail_from = (ProtobufCBinaryData){m->mail_from.n, (uint8_t *)(uintptr_t)m->mail_from.p};
	out->size = m->size;
	out->subject = (char *)(uintptr_t)subject;
	for (size_t i = 0; i < m->recipients.n; i++)
		n += m->recipients.p[i] == '\n';
	out->recipients = arena_new_array(a, ProtobufCBinaryData, n);
	for (size_t i = 0, from = 0; i <= m->recipients.n; i++) {
		if (i < m->recipients.n && m->recipients.p[i] != '\n')
			continue;
		out->recipients[out->n_recipients++] =
		    (ProtobufCBinaryData){i - from, (uint8_t *)(uintptr_t)m->recipients.p + from};
		from = i + 1;
	}
	return out;
}

struct subjects {
	const char **v;
	struct arena *a;
};

static enum rc
take_subject(void *ctx, size_t i, const struct facts *facts, struct arena *scratch, struct err *e)
{
	struct subjects *s = ctx;
	s->v[i] = facts != NULL ? arena_strdup(s->a, facts->subject) : "";
	return RC_OK;
}

/* Of each mail's message. */
static enum rc
subjects(const struct svc_request *r, struct db_tx *tx, const struct store_sandbox_mail *v, size_t n,
	 const char ***subjects_r, struct err *e)
{
	struct arena *a = r->in->arena;
	struct subjects s = {arena_new_array(a, const char *, n + 1), a};
	struct uuid *ids = arena_new_array(a, struct uuid, n + 1);
	uint64_t *sizes = arena_new_array(a, uint64_t, n + 1);
	for (size_t i = 0; i < n; i++) {
		ids[i] = v[i].message;
		sizes[i] = v[i].size;
	}
	*subjects_r = s.v;
	return facts_read(r->svc->content, tx, &r->in->tenant, ids, sizes, n, take_subject, &s, e);
}

enum rc
handle_sandbox_list(const struct svc_request *r, struct buf *reply, struct err *e)
{
	struct arena *a = r->in->arena;
	const Sekisho__Delivery__SandboxListRequest *q = CODEC_UNPACK(sandbox_list_request, r);
	struct store_filter f = {0};
	struct store_sandbox_mail *v = NULL;
	struct db_tx *tx = NULL;
	const char **subject = NULL;
	size_t n = 0;
	if (q == NULL || !r->in->has_tenant)
		return err_set(e, q == NULL ? RC_INVALID : RC_DENIED, "%s", BAD);
	if (q->limit > LIMIT_MAX)
		return err_set(e, RC_INVALID, "limit: at most %d", LIMIT_MAX);
	if (!codec_cursor(q->cursor, &f.has_before, &f.before))
		return err_set(e, RC_INVALID, "cursor: not one of ours");
	f.limit = q->limit != 0 ? (int32_t)q->limit : LIMIT_DEFAULT;
	f.recipient = q->recipient[0] != '\0' ? bytes_str(q->recipient) : bytes_of(NULL, 0);
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_sandbox_list(tx, &r->in->tenant, &f, a, &v, &n, e);
	if (rc == RC_OK)
		rc = subjects(r, tx, v, n, &subject, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Delivery__SandboxListReply m = SEKISHO__DELIVERY__SANDBOX_LIST_REPLY__INIT;
	char *next = arena_alloc(a, UUID_STR_SIZE);
	m.n_mails = n;
	m.mails = arena_new_array(a, Sekisho__Delivery__SandboxMail *, n);
	for (size_t i = 0; i < n; i++)
		m.mails[i] = mail(&v[i], subject[i], a);
	if (n > 0 && n == (size_t)f.limit)
		uuid_format(&v[n - 1].id, next);
	m.next_cursor = next;
	return codec_pack(&m.base, reply, e);
}

enum rc
handle_sandbox_get(const struct svc_request *r, struct buf *reply, struct err *e)
{
	static const enum content_kind sandbox[] = {CONTENT_SANDBOX};
	struct arena *a = r->in->arena;
	const Sekisho__Delivery__SandboxGetRequest *q = CODEC_UNPACK(sandbox_get_request, r);
	struct bytes octets = {0};
	const char **subject = NULL;
	struct store_sandbox_mail m = {0};
	struct db_tx *tx = NULL;
	struct uuid id;
	if (q == NULL || q->id.len != sizeof(id.b) || !r->in->has_tenant)
		return err_set(e, RC_INVALID, "%s", BAD);
	memcpy(id.b, q->id.data, sizeof(id.b));
	svc_record_subject(r, &id);
	enum rc rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = store_sandbox_get(tx, &r->in->tenant, &id, a, &m, e);
	if (rc == RC_OK && m.size > CONTENT_MAX)
		rc = err_set(e, RC_LIMIT, "the mail has more than %u octets", CONTENT_MAX);
	if (rc == RC_OK)
		rc = content_get(r->svc->content, tx, &r->in->tenant, &id, sandbox, &octets, 1, CONTENT_MAX, a, e);
	if (rc == RC_OK && octets.p == NULL)
		rc = err_set(e, RC_NOT_FOUND, "no such mail in the sandbox");
	if (rc == RC_OK)
		rc = subjects(r, tx, &m, 1, &subject, e);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	Sekisho__Delivery__SandboxGetReply out = SEKISHO__DELIVERY__SANDBOX_GET_REPLY__INIT;
	out.mail = mail(&m, subject[0], a);
	out.content = (ProtobufCBinaryData){octets.n, (uint8_t *)(uintptr_t)octets.p};
	return codec_pack(&out.base, reply, e);
}
