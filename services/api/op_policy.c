/* SPDX-License-Identifier: MIT
 *
 * Rule sets. The resource is the document itself; its version is the ETag, so that a PUT with If-Match overwrites only
 * what its author has seen.
 */
#include <string.h>

#include "client/policy_client.h"
#include "conditional.h"
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
	w->etag = conditional_etag(r->arena, d->version, bytes_of(NULL, 0));
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

/* If-Match: "7", and "0" is the built-in course, as is If-None-Match: * here; absent or * is no condition. False with a
 * problem written. */
static bool
read_condition(const struct api_request *r, struct api_response *w, bool *given_r, uint64_t *version_r)
{
	*version_r = 0;
	*given_r = true;
	if (r->if_none_match[0] != '\0') {
		if (strcmp(r->if_none_match, "*") == 0 && r->if_match[0] == '\0')
			return true;
		problem_set(r, w, "bad_if_none_match", "@If-None-Match",
			    "If-None-Match must be *, and without If-Match");
		return false;
	}
	switch (conditional_match(r->if_match, version_r)) {
	case CONDITIONAL_NONE:
	case CONDITIONAL_ANY:
		*given_r = false;
		return true;
	case CONDITIONAL_VERSION:
		return true;
	case CONDITIONAL_NEVER:
		problem_set(r, w, "precondition", "@If-Match", "the rule set is not at this ETag");
		return false;
	case CONDITIONAL_BAD:
		break;
	}
	problem_set(r, w, "bad_if_match", "@If-Match", "If-Match must be one ETag of this resource, such as \"7\"");
	return false;
}

static bool
size_ok(const struct api_request *r, struct api_response *w)
{
	if (r->body.n <= POLICY_DOCUMENT_MAX)
		return true;
	problem_set(r, w, "too_large", NULL, "a rule set may have at most %u octets", POLICY_DOCUMENT_MAX);
	return false;
}

OP(op_policy_put)
{
	CALL(c);
	bool conditional;
	uint64_t if_version, version = 0;
	struct policy_findings f = {0};
	if (!size_ok(r, w) || !read_condition(r, w, &conditional, &if_version))
		return RC_OK;
	enum rc rc = policy_put(&c, r->body, conditional ? &if_version : NULL, r->arena, &version, &f, e);
	if (rc == RC_CONFLICT) {
		problem_set(r, w, "precondition", r->if_match[0] != '\0' ? "@If-Match" : "@If-None-Match", "%s",
			    e->text);
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	if (version == 0) {
		problem_open(r, w, "policy_invalid", "the rule set has errors and was not activated");
		struct json_out o = {.b = &w->body, .comma = true};
		put_findings(&o, "errors", &f);
		json_out_close(&o, '}');
		buf_add_str(&w->body, "\n");
		return RC_OK;
	}
	struct json_out o = op_begin(w);
	json_out_int(&o, "version", (int64_t)version);
	put_findings(&o, "findings", &f);
	w->etag = conditional_etag(r->arena, version, bytes_of(NULL, 0));
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

OP(op_policy_versions)
{
	CALL(c);
	uint32_t limit;
	struct policy_version *v;
	size_t n;
	const char *next, *cursor = api_query(r, "cursor");
	if (!op_limit(r, w, POLICY_VERSIONS_MAX, &limit))
		return RC_OK;
	enum rc rc = policy_versions(&c, limit, cursor != NULL ? cursor : "", r->arena, &v, &n, &next, e);
	if (rc != RC_OK)
		return rc;
	struct json_out o = op_begin(w);
	json_out_open(&o, "versions", '[');
	for (size_t i = 0; i < n; i++) {
		json_out_open(&o, NULL, '{');
		json_out_int(&o, "version", (int64_t)v[i].version);
		json_out_time(&o, "made_at", v[i].activated_us);
		json_out_str(&o, "made_by", v[i].activated_by);
		json_out_bool(&o, "active", v[i].active);
		json_out_int(&o, "rules", v[i].rules);
		json_out_close(&o, '}');
	}
	json_out_close(&o, ']');
	op_put_cursor(&o, next);
	return op_end(&o, w, 200);
}
