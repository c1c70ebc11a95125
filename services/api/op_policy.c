/* SPDX-License-Identifier: MIT
 *
 * Rule sets. The resource is the document itself; its version is the ETag, so that a PUT with If-Match overwrites only
 * what its author has seen.
 */
#include <stdlib.h>
#include <string.h>

#include "client/policy_client.h"
#include "core/clock.h"
#include "ops.h"

#define CALL(c)                                                                                                        \
	struct policy_call c = OP_CALL(api, r, "policy");                                                              \
	c.tenant = &r->holder.tenant

static enum rc
put_document(const struct api_request *r, struct api_response *w, const struct policy_document *d)
{
	buf_reset(&w->body);
	buf_add_bytes(&w->body, d->json);
	w->status = 200;
	w->content_type = "application/json";
	api_response_header(w, "ETag", arena_printf(r->arena, "\"%llu\"", (unsigned long long)d->version));
	if (d->activated_us != 0) {
		char at[CLOCK_RFC3339_SIZE];
		clock_rfc3339(d->activated_us, at);
		api_response_header(w, "X-Sekisho-Activated-At", arena_strdup(r->arena, at));
	}
	return RC_OK;
}

OP(op_policy_get)
{
	CALL(c);
	struct policy_document d;
	enum rc rc = policy_get(&c, 0, r->arena, &d, e);
	return rc == RC_OK ? put_document(r, w, &d) : rc;
}

/* A whole number without sign or leading zero; 0 if it is none. */
static uint64_t
parse_version(struct bytes s)
{
	uint64_t v = 0;
	if (s.n == 0 || s.n > 18 || s.p[0] == '0')
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	return v;
}

OP(op_policy_version)
{
	CALL(c);
	uint64_t version = parse_version(bytes_str(r->param));
	if (version == 0)
		return err_set(e, RC_NOT_FOUND, "there is no such version");
	struct policy_document d;
	enum rc rc = policy_get(&c, version, r->arena, &d, e);
	return rc == RC_OK ? put_document(r, w, &d) : rc;
}

static void
put_findings(struct json_out *o, const char *name, const struct policy_findings *f)
{
	json_out_open(o, name, '[');
	for (size_t i = 0; i < f->n; i++) {
		json_out_open(o, NULL, '{');
		json_out_str(o, "pointer", f->v[i].pointer);
		json_out_str(o, "detail", f->v[i].text);
		json_out_str(o, "severity", f->v[i].error ? "error" : "warning");
		json_out_close(o, '}');
	}
	json_out_close(o, ']');
}

/* If-Match: "7" -> 7, and "0" is the built-in course; absent or * is no condition. False with a problem written. */
static bool
read_if_match(const struct api_request *r, struct api_response *w, bool *given_r, uint64_t *version_r)
{
	struct bytes s = bytes_str(r->if_match);
	*version_r = 0;
	*given_r = s.n != 0 && !bytes_eq(s, bytes_str("*"));
	if (!*given_r || bytes_eq(s, bytes_str("\"0\"")))
		return true;
	if (s.n > 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		*version_r = parse_version(bytes_of(s.p + 1, s.n - 2));
	if (*version_r != 0)
		return true;
	problem_set(r, w, 400, "bad_if_match", NULL, "If-Match must be one ETag of this resource, such as \"7\"");
	return false;
}

static bool
size_ok(const struct api_request *r, struct api_response *w)
{
	if (r->body.n <= POLICY_DOCUMENT_MAX)
		return true;
	problem_set(r, w, 413, "too_large", NULL, "a rule set may have at most %u octets", POLICY_DOCUMENT_MAX);
	return false;
}

OP(op_policy_put)
{
	CALL(c);
	bool conditional;
	uint64_t if_version, version = 0;
	struct policy_findings f = {0};
	if (!size_ok(r, w) || !read_if_match(r, w, &conditional, &if_version))
		return RC_OK;
	enum rc rc = policy_put(&c, r->body, conditional ? &if_version : NULL, r->arena, &version, &f, e);
	if (rc == RC_CONFLICT) {
		problem_set(r, w, 412, "precondition", NULL, "%s", e->text);
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	if (version == 0) {
		buf_reset(&w->body);
		problem_open(&w->body, 422, "policy_invalid", "the rule set has errors and was not activated",
			     r->request_id);
		struct json_out o = {.b = &w->body, .comma = true};
		put_findings(&o, "errors", &f);
		(void)op_end(&o, w, 422);
		w->content_type = "application/problem+json";
		return RC_OK;
	}
	struct json_out o = op_begin(w);
	json_out_int(&o, "version", (int64_t)version);
	put_findings(&o, "findings", &f);
	api_response_header(w, "ETag", arena_printf(r->arena, "\"%llu\"", (unsigned long long)version));
	return op_end(&o, w, 200);
}

OP(op_policy_check)
{
	CALL(c);
	bool valid;
	struct policy_findings f = {0};
	if (!size_ok(r, w))
		return RC_OK;
	enum rc rc = policy_check(&c, r->body, r->arena, &valid, &f, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_bool(&o, "valid", valid);
	put_findings(&o, "findings", &f);
	return op_end(&o, w, 200);
}
