/* SPDX-License-Identifier: MIT
 *
 * Changes of legs. No state of its own.
 */
#include "change.h"

#include <stdio.h>
#include <string.h>

#include "bounce.h"

void
change_init(struct change *c, const struct store_message *m, const struct store_leg *leg)
{
	*c = (struct change){
	    .row = {.message = m->id, .was = leg, .now = *leg, .kind = STORE_DUE_SEND, .due_us = STORE_NEVER_US},
	    .message = m,
	    .actor = bytes_str("system"),
	};
}

void
change_codes(struct bytes reply, const char *status, int *code_r, char status_r[CHANGE_STATUS_SIZE])
{
	char line[64];
	unsigned code = 0, class, b, d;
	int used = 0;
	snprintf(line, sizeof(line), "%.*s", (int)reply.n, (const char *)reply.p);
	const char *p = line;
	if (strspn(p, "0123456789") == 3 && (p[3] == ' ' || p[3] == '\0')) {
		code = (unsigned)((p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0');
		p += p[3] == ' ' ? 4 : 3;
	}
	*code_r = code >= 200 && code <= 599 ? (int)code : 0;
	if (status != NULL)
		snprintf(status_r, CHANGE_STATUS_SIZE, "%s", status);
	else if (sscanf(p, "%1u.%3u.%3u%n", &class, &b, &d, &used) == 3 && (p[used] == ' ' || p[used] == '\0') &&
		 (class == 2 || class == 4 || class == 5)) /* else it may be an IP address */
		snprintf(status_r, CHANGE_STATUS_SIZE, "%u.%u.%u", class, b, d);
	else
		status_r[0] = '\0';
}

bool
change_step(struct change *c, enum leg_event v, enum leg_who who, int64_t now_us)
{
	enum leg_state was = c->row.now.state;
	if (!leg_next(was, v, who, &c->row.now.state))
		return false;
	if ((was == LEG_HELD || was == LEG_QUARANTINED) && c->row.now.state == LEG_QUEUED)
		c->row.now.sendable_us = now_us;
	c->row.now.version++;
	if (leg_is_final(c->row.now.state)) {
		c->row.now.final_us = now_us;
		c->row.now.due_us = DB_TIME_NULL;
		c->row.lease_us = 0;
	}
	return true;
}

static enum rc
record(struct db_tx *tx, const struct change *c, int64_t now_us, struct err *e)
{
	struct audit_intent i = {
	    .action = c->action,
	    .outcome = "ok",
	    .actor = c->actor,
	    .source = c->source,
	    .subject = c->row.message,
	    .number = c->row.now.number,
	    .at_us = now_us,
	    .detail = c->detail,
	    .traceparent = c->message->traceparent,
	};
	return db_intent(tx, &i, e);
}

enum rc
changes_apply(struct db_tx *tx, struct content *content, const struct uuid *tenant, const struct uuid *lease_owner,
	      struct change *v, size_t n, int64_t now_us, struct err *e)
{
	struct arena *a = arena_new();
	struct store_change *rows = arena_new_array(a, struct store_change, n);
	for (size_t i = 0; i < n; i++)
		rows[i] = v[i].row;
	enum rc rc = store_change(tx, tenant, lease_owner, rows, n, e);
	for (size_t i = 0; i < n; i++)
		v[i].row.done = rc == RC_OK && rows[i].done;
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		if (v[i].row.done && v[i].action != NULL)
			rc = record(tx, &v[i], now_us, e);
	if (rc == RC_OK)
		rc = bounces_make(tx, content, tenant, v, n, now_us, e);
	arena_free(&a);
	return rc;
}
