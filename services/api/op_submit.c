/* SPDX-License-Identifier: MIT
 *
 * Submission: read what is to be sent, hand it to `ingest`, and say 202 only after ingest's 250 (law 1).
 */
#include <string.h>

#include "client/ingest_client.h"
#include "core/clock.h"
#include "crypt/crypt.h"
#include "ops.h"
#include "submission.h"

/* The envelope of raw MIME: query parameters or headers, not both. */
static bool
read_raw(struct api_request *r, struct api_response *w, struct submission *s)
{
	struct err e = {0};
	const char *sender = api_query(r, "sender");
	bool by_query = sender != NULL || api_query(r, "recipient") != NULL;
	if (by_query && (r->sender[0] != '\0' || r->recipients[0] != '\0')) {
		problem_set(r, w, "two_envelopes", NULL, "the envelope is given in the query and in headers");
		return false;
	}
	if (!by_query)
		sender = r->sender;
	if (submission_address(r->arena, bytes_str(sender != NULL ? sender : ""), &s->sender, &e) != RC_OK) {
		problem_set(r, w, "invalid_envelope", by_query ? "?sender" : NULL, "sender: %s", e.text);
		return false;
	}
	enum rc rc = RC_OK;
	if (!by_query)
		rc = submission_add_list(r->arena, r->recipients, s, &e);
	for (size_t i = 0; i < r->n_query && rc == RC_OK; i++)
		if (strcmp(r->query[i].name, "recipient") == 0)
			rc = submission_add_recipient(r->arena, bytes_str(r->query[i].value), s, &e);
	if (rc == RC_OK && s->n_recipients == 0)
		rc = err_set(&e, RC_INVALID, "none is named");
	if (rc != RC_OK) {
		problem_set(r, w, "invalid_envelope", by_query ? "?recipient" : NULL, "recipients: %s", e.text);
		return false;
	}
	if (!submission_lines_ok(r->body)) {
		problem_set(r, w, "line_ends", NULL,
			    "lines of message/rfc822 end in CRLF, the last one too; a bare "
			    "CR or LF is not accepted");
		return false;
	}
	return true;
}

/* ingest said no: its code decides whether it can be tried again, its words are the rule's. */
static enum rc
put_refusal(const struct api_request *r, struct api_response *w, const struct ingest_outcome *o)
{
	const char *code = "refused";
	if (o->code == 552 || strcmp(o->enhanced, "5.3.4") == 0)
		code = "too_large";
	else if (o->code == 535 || o->code == 530)
		code = "forbidden";
	else if (o->code < 500)
		code = "try_later";
	problem_open(r, w, code, o->text);
	if (o->code < 500)
		api_response_header(w, "Retry-After", "30");
	struct json_out j = {.b = &w->body, .comma = true};
	json_out_open(&j, "smtp", '{');
	json_out_int(&j, "code", o->code);
	json_out_str(&j, "enhanced", o->enhanced);
	json_out_close(&j, '}');
	if (o->recipient >= 0)
		json_out_int(&j, "recipient", o->recipient);
	json_out_close(&j, '}');
	buf_add_str(&w->body, "\n");
	return RC_OK;
}

static enum rc
submit(const struct api *api, const struct api_request *r, struct api_response *w, const struct submission *s,
       struct bytes message, struct err *e)
{
	struct ingest_submission q = {
	    .actor_token = api_token(r, "ingest"),
	    .idempotency_key = bytes_str(r->idempotency_key),
	    .mail_from = s->sender,
	    .recipients = s->recipients,
	    .n_recipients = s->n_recipients,
	    .message = message,
	    .traceparent = r->traceparent,
	};
	struct ingest_outcome outcome = {.recipient = -1};
	enum rc rc = ingest_submit(api->ingest_socket, &q, clock_mono_ms() + api->submit_ms, r->arena, &outcome, e);
	if (rc != RC_OK)
		return rc;
	if (!outcome.accepted)
		return put_refusal(r, w, &outcome);
	char id[UUID_STR_SIZE];
	uuid_format(&outcome.message, id);
	struct json_out o = op_begin(w);
	json_out_str(&o, "id", id);
	json_out_bool(&o, "replayed", outcome.replayed);
	api_response_header(w, "Location", arena_printf(r->arena, "/v1/messages/%s", id));
	return op_end(&o, w, 202);
}

/* No key's body is taken, let alone parsed, that may not send. ingest says no itself, at AUTH, so that the refusal is
 * on the record like any other; the mail is never spoken of. */
bool
submit_admit(const struct api *api, struct api_request *r, struct api_response *w)
{
	for (size_t i = 0; i < r->holder.n_permissions; i++)
		if (strcmp(r->holder.permissions[i], AUTH_MESSAGE_SEND) == 0)
			return true;
	const struct bytes nobody = bytes_str("nobody@invalid.invalid");
	struct submission s = {.recipients = (struct bytes *)(uintptr_t)&nobody, .n_recipients = 1};
	struct err e = {0};
	enum rc rc = submit(api, r, w, &s, bytes_str("\r\n"), &e);
	if (rc != RC_OK)
		problem_from_rc(r, w, &e);
	return false;
}

OP(op_messages_submit)
{
	struct submission s = {0};
	if (r->json == NULL)
		return read_raw(r, w, &s) ? submit(api, r, w, &s, r->body, e) : RC_OK;
	if (r->n_query > 0 || r->sender[0] != '\0' || r->recipients[0] != '\0') {
		problem_set(r, w, "two_envelopes", NULL, "with JSON the envelope belongs into the document");
		return RC_OK;
	}
	uint8_t digest[32];
	struct uuid id;
	crypt_sha256(r->body, digest);
	memcpy(id.b, digest, sizeof(id.b)); /* the same document makes the same message, under a new
					       key or an old one */
	struct json_in in;
	enum rc rc = submission_from_json(&in, r->arena, r->json, &id, (size_t)api->body_max, &s, e);
	if (rc == RC_LIMIT) {
		problem_set(r, w, "too_large", NULL, "%s", e->text);
		return RC_OK;
	}
	if (rc != RC_OK || !op_json_ok(&in, r, w))
		return rc;
	rc = submit(api, r, w, &s, buf_bytes(&s.message), e);
	submission_done(&s);
	return rc;
}

OP(op_submissions_get)
{
	struct ingest_call c = OP_CALL(api, r, "ingest");
	struct uuid message;
	int64_t accepted_us;
	c.tenant = &r->holder.tenant;
	enum rc rc = ingest_lookup(&c, r->param, &message, &accepted_us, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_uuid(&o, "id", &message);
	json_out_time(&o, "accepted_at", accepted_us);
	return op_end(&o, w, 200);
}
