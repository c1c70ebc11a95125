/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

#include "json_in.h"

struct json_out
op_begin(struct api_response *w)
{
	buf_reset(&w->body);
	struct json_out o = {.b = &w->body};
	json_out_open(&o, NULL, '{');
	return o;
}

enum rc
op_end(struct json_out *o, struct api_response *w, int status)
{
	json_out_close(o, '}');
	buf_add_str(o->b, "\n");
	w->status = status;
	w->content_type = "application/json";
	return RC_OK;
}

bool
op_json_ok(const struct json_in *in, const struct api_request *r, struct api_response *w)
{
	if (!in->failed)
		return true;
	problem_set(r, w, 422, "invalid_field", in->pointer, "%s %s",
		    in->pointer[0] != '\0' ? in->pointer : "the document", in->what);
	return false;
}

bool
op_param_uuid(const struct api_request *r, struct api_response *w, struct uuid *id_r)
{
	if (uuid_parse(r->param, id_r))
		return true;
	problem_set(r, w, 404, "not_found", NULL, "there is nothing with this id");
	return false;
}

bool
op_limit(const struct api_request *r, struct api_response *w, uint32_t max, uint32_t *limit_r)
{
	const char *s = api_query(r, "limit");
	*limit_r = 0;
	if (s == NULL)
		return true;
	size_t n = strspn(s, "0123456789");
	long v = n > 0 && n <= 6 && s[n] == '\0' ? strtol(s, NULL, 10) : 0;
	if (v < 1 || v > (long)max) {
		problem_set(r, w, 422, "invalid_parameter", "?limit", "limit must be a whole number from 1 to %u", max);
		return false;
	}
	*limit_r = (uint32_t)v;
	return true;
}

/* No key needed and nothing told but whether requests can be served: the gateway and probes from outside ask it. */
OP(op_health)
{
	if (!bus_connected(api->svc->bus))
		return err_set(e, RC_RETRY, "not connected to the other services");
	struct json_out o = op_begin(w);
	json_out_str(&o, "status", "ok");
	return op_end(&o, w, 200);
}
