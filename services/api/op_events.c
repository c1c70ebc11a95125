/* SPDX-License-Identifier: MIT
 *
 * Events as server-sent events: where to begin, and which. The stream itself is in events.c.
 */
#include <stdlib.h>
#include <string.h>

#include "client/audit_client.h"
#include "events.h"
#include "ops.h"

/* -1 or a position; false: it is neither. */
static bool
parse_position(const char *s, int64_t *v_r)
{
	size_t n = strspn(s, "0123456789");
	if (strcmp(s, "-1") == 0) {
		*v_r = -1;
		return true;
	}
	if (n == 0 || n > 15 || s[n] != '\0' || (s[0] == '0' && n > 1))
		return false;
	*v_r = strtoll(s, NULL, 10);
	return true;
}

/* given_r false: begin now. *next_r: the first position wanted. */
static bool
read_after(const struct api_request *r, struct api_response *w, bool *given_r, uint64_t *next_r)
{
	int64_t v = -1;
	const char *after = api_query(r, "after"), *where = "?after";
	if (after == NULL && r->last_event_id[0] != '\0') {
		after = r->last_event_id;
		where = "@Last-Event-ID";
	}
	*given_r = after != NULL;
	if (after != NULL && !parse_position(after, &v)) {
		problem_set(r, w, "invalid_parameter", where, "%s must be the position of an event, or -1", where + 1);
		return false;
	}
	*next_r = (uint64_t)(v + 1);
	return true;
}

/* "message.accepted,recipient.delivered" */
static bool
read_types(const struct api_request *r, struct api_response *w, const char ***types_r, size_t *n_r)
{
	const char *s = api_query(r, "types");
	const char **v = arena_new_array(r->arena, const char *, EVENTS_TYPES_MAX);
	*types_r = v;
	*n_r = 0;
	if (s == NULL)
		return true;
	for (;;) {
		size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz_.");
		if (n == 0 || n > 64 || (s[n] != '\0' && s[n] != ',') || *n_r == EVENTS_TYPES_MAX)
			break;
		v[(*n_r)++] = arena_strndup(r->arena, s, n);
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
	problem_set(r, w, "invalid_parameter", "?types", "types must be types of events, with commas between them");
	return false;
}

OP(op_events_stream)
{
	struct audit_call c = OP_CALL(api, r, "audit");
	uint64_t next;
	bool given;
	const char **types;
	struct audit_events now;
	c.tenant = &r->holder.tenant;
	if (!read_after(r, w, &given, &next))
		return RC_OK;
	struct audit_events_question q = {.limit = 1, .from_now = true};
	if (!read_types(r, w, &types, &q.n_types))
		return RC_OK;
	q.types = types;
	/* Whoever may not is told now, and where the log ends is where a new stream begins. */
	enum rc rc = audit_events(&c, &q, r->arena, &now, e);
	if (rc != RC_OK)
		return rc;
	if (given && next > now.size) {
		problem_set(r, w, "invalid_parameter", api_query(r, "after") != NULL ? "?after" : "@Last-Event-ID",
			    "the record does not go so far: it has %llu entries", (unsigned long long)now.size);
		return RC_OK;
	}
	rc = events_begin(api->events, r, given ? next : now.size, types, q.n_types, w, e);
	if (rc != RC_OK)
		return rc;
	w->status = 200;
	w->content_type = "text/event-stream";
	/* A proxy that buffers would hold events back. */
	api_response_header(w, "X-Accel-Buffering", "no");
	return RC_OK;
}
