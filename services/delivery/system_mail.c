/* SPDX-License-Identifier: MIT
 *
 * Mail born inside, into the store. The facts are written here and not by the cage: the octets are our own.
 */
#include "system_mail.h"

#include "smtp/address.h"

const char *
system_mail_domain(struct bytes address, struct arena *a)
{
	struct smtp_address parsed;
	char ascii[SMTP_ASCII_DOMAIN_SIZE];
	if (smtp_address_parse(address, &parsed, NULL) != RC_OK || parsed.literal ||
	    smtp_domain_ascii(parsed.domain, ascii, NULL) != RC_OK)
		return NULL;
	return arena_strdup(a, ascii);
}

enum rc
system_mail_prepare(struct content *content, const struct uuid *tenant, const struct uuid *id, struct err *e)
{
	const struct content_item item = {CONTENT_DSN, bytes_of("", 0)};
	struct content_sealed *sealed = NULL;
	/* Sealing anything makes the tenant's key if there is none, and keeps it at hand. */
	enum rc rc = content_seal(content, tenant, id, &item, 1, &sealed, e);
	content_sealed_free(&sealed);
	return rc;
}

static enum rc
facts_of(const struct system_mail *m, struct arena *a, struct buf *out, struct err *e)
{
	struct facts f = {
	    .verdict = FACTS_CLEAN,
	    .scanner = "made here",
	    .size = m->body.n,
	    .subject = m->subject,
	    .text = m->text,
	    .has_date = true,
	    .has_message_id = true,
	    .has_from = true,
	    .auto_submitted = true,
	    .utf8_header = m->utf8_header,
	    .header_length = m->map->header_length,
	    .n_fields = m->map->n_fields,
	};
	struct facts_address from = {.display = m->from_display, .addr = m->from};
	crypt_sha256(m->body, f.sha256);
	f.from = (struct facts_addresses){&from, 1};
	f.fields = arena_new_array(a, struct facts_field, m->map->n_fields);
	for (size_t i = 0; i < m->map->n_fields; i++)
		f.fields[i] = (struct facts_field){m->map->fields[i].offset, m->map->fields[i].name_length,
						   m->map->fields[i].length};
	return facts_encode(&f, out, e);
}

static enum rc
arrive(struct db_tx *tx, const struct uuid *tenant, const struct system_mail *m, const char *domain, struct arena *a,
       struct err *e)
{
	struct store_leg leg = {
	    .address = m->to,
	    .domain = bytes_str(domain),
	    .state = LEG_QUEUED,
	    .cause = m->cause,
	    .version = 1,
	    .rule = bytes_str("system"),
	    .notify = "NEVER",
	    .due_us = DB_TIME_NULL,
	};
	struct store_arrival v = {
	    .message = {.id = m->id,
			.accepted_us = m->at_us,
			.direction = STORE_SYSTEM,
			.size = m->body.n,
			.traceparent = m->traceparent,
			.ret = "",
			.smtputf8 = m->smtputf8,
			.verdict = bytes_str("clean"),
			.host = bytes_str(m->host)},
	    .legs = &leg,
	    .n_legs = 1,
	};
	enum rc made = store_arrive_messages(tx, tenant, &v, 1, a, e);
	return made == RC_OK ? store_arrive_legs(tx, tenant, &v, 1, NULL, 0, a, e) : made;
}

enum rc
system_mail_insert(struct db_tx *tx, struct content *content, const struct uuid *tenant, const struct system_mail *m,
		   struct arena *a, struct err *e)
{
	const char *domain = system_mail_domain(m->to, a);
	struct audit_intent i = {
	    .action = m->action,
	    .outcome = "ok",
	    .actor = bytes_str("system"),
	    .subject = m->id,
	    .number = -1,
	    .at_us = m->at_us,
	    .detail = m->decision,
	    .traceparent = m->traceparent,
	};
	struct buf facts;
	if (domain == NULL)
		return err_set(e, RC_NOT_FOUND, "nobody can be sent to at that address");
	buf_init(&facts, 0);
	enum rc rc = facts_of(m, a, &facts, e);
	const struct content_item items[] = {
	    {CONTENT_BODY, m->body}, {CONTENT_FACTS, buf_bytes(&facts)}, {CONTENT_DECISION, m->decision}};
	if (rc == RC_OK)
		rc = content_put(content, tx, tenant, &m->id, items, 3, e);
	if (rc == RC_OK)
		rc = arrive(tx, tenant, m, domain, a, e);
	if (rc == RC_OK)
		rc = db_intent(tx, &i, e);
	buf_done(&facts);
	return rc;
}
