/* SPDX-License-Identifier: MIT
 *
 * Release and discard. The due rows are locked first, so of two who act at once the second sees what the first did and
 * is told who that was.
 */
#include "handlers.h"

#include "change.h"
#include "codec.h"
#include "core/clock.h"
#include "delivery.h"
#include "schedule.h"
#include "svc/once.h"

#define NUMBERS_MAX 2000
#define REASON_MAX  400

struct act {
	const struct svc_request *r;
	enum leg_event event;
	const char *action;
	struct bytes actor, detail;
	int64_t now_us;
	struct store_view view;
	struct change *changes;
	size_t n_changes;
	Sekisho__Delivery__ActReply reply;
};

static Sekisho__Delivery__ActResult *
result(struct act *x, uint32_t number, const char *status, const char *state)
{
	Sekisho__Delivery__ActResult *t = arena_new_array(x->r->in->arena, Sekisho__Delivery__ActResult, 1);
	sekisho__delivery__act_result__init(t);
	t->number = number;
	t->status = (char *)(uintptr_t)status;
	t->state = (char *)(uintptr_t)state;
	x->reply.results[x->reply.n_results++] = t;
	return t;
}

/* Who made the leg what it is: the operator or timer that decided, else the state speaks for itself. */
static struct bytes
decided_by(const struct store_leg *l)
{
	return l->decided_by.n > 0 ? l->decided_by : bytes_str("system");
}

static void
act_on(struct act *x, const struct store_leg *l, bool asked_by_number)
{
	struct change *c = &x->changes[x->n_changes];
	change_init(c, &x->view.message, l);
	if (!change_step(c, x->event, LEG_BY_OPERATOR, x->now_us)) {
		if (asked_by_number)
			result(x, (uint32_t)l->number, "conflict", leg_state_str(l->state))->decided_by =
			    codec_text(x->r->in->arena, decided_by(l));
		return;
	}
	c->action = x->action;
	c->actor = x->actor;
	c->source = bytes_str(x->r->actor->from);
	c->detail = x->detail;
	c->row.now.decided_by =
	    bytes_str(x->r->actor->name); /* told to people; a name may change, the record's id not */
	c->row.now.due_us = DB_TIME_NULL;
	c->row.due_us = x->now_us;
	if (l->state == LEG_UNCERTAIN && c->row.now.state == LEG_QUEUED)
		c->row.now.possible_duplicate = true;
	x->n_changes++;
	result(x, (uint32_t)l->number, "ok", leg_state_str(c->row.now.state));
}

static void
act_on_numbers(struct act *x, const uint32_t *numbers, size_t n)
{
	bool *seen = arena_new_array(x->r->in->arena, bool, x->view.n_legs);
	for (size_t i = 0; i < n; i++) {
		const struct store_leg *found = NULL;
		size_t k = 0;
		for (; k < x->view.n_legs && found == NULL; k++)
			if ((uint32_t)x->view.legs[k].number == numbers[i])
				found = &x->view.legs[k];
		if (found == NULL)
			result(x, numbers[i], "not_found", "");
		else if (!seen[k - 1])
			act_on(x, found, true);
		if (found != NULL)
			seen[k - 1] = true;
	}
}

static enum rc
decode(struct act *x, struct uuid *id_r, const Sekisho__Delivery__ActRequest **q_r, struct err *e)
{
	const struct svc_request *r = x->r;
	const Sekisho__Delivery__ActRequest *q = CODEC_UNPACK(act_request, r);
	struct buf b;
	if (q == NULL || q->id.len != sizeof(id_r->b))
		return err_set(e, RC_INVALID, "request does not decode");
	if (q->n_numbers > NUMBERS_MAX || strlen(q->reason) > REASON_MAX)
		return err_set(e, RC_INVALID, "too many recipients, or the reason is too long");
	memcpy(id_r->b, q->id.data, sizeof(id_r->b));
	buf_init(&b, 0);
	buf_add_str(&b, "{\"by\":\"operator\",\"name\":");
	buf_add_json(&b, bytes_str(r->actor->name));
	if (q->reason[0] != '\0') {
		buf_add_str(&b, ",\"reason\":");
		buf_add_json(&b, bytes_str(q->reason));
	}
	buf_add_str(&b, "}");
	x->detail = arena_bytes(r->in->arena, buf_bytes(&b));
	buf_done(&b);
	x->actor = bytes_str(svc_actor_text(r->actor, r->in->arena));
	*q_r = q;
	return RC_OK;
}

/* Asked for, and nothing was there to be done: that too is on the record. */
static enum rc
record_nothing(struct act *x, struct db_tx *tx, const struct uuid *id, struct err *e)
{
	struct audit_intent i = {
	    .action = x->event == LEG_ON_RELEASE ? "delivery.release" : "delivery.discard",
	    .outcome = rc_str(RC_CONFLICT),
	    .actor = x->actor,
	    .source = bytes_str(x->r->actor->from),
	    .subject = *id,
	    .number = -1,
	    .at_us = x->now_us,
	    .detail = x->detail,
	    .traceparent = x->r->in->traceparent,
	};
	return db_intent(tx, &i, e);
}

/* The due rows of the message are locked. */
static enum rc
act_locked(struct act *x, struct db_tx *tx, const struct uuid *id, const Sekisho__Delivery__ActRequest *q,
	   struct err *e)
{
	const struct svc_request *r = x->r;
	struct arena *a = r->in->arena;
	x->changes = arena_new_array(a, struct change, x->view.n_legs);
	x->reply.results = arena_new_array(a, Sekisho__Delivery__ActResult *, x->view.n_legs + q->n_numbers);
	if (q->n_numbers > 0)
		act_on_numbers(x, q->numbers, q->n_numbers);
	else
		for (size_t i = 0; i < x->view.n_legs; i++)
			act_on(x, &x->view.legs[i], false);
	if (x->n_changes == 0)
		return record_nothing(x, tx, id, e);
	enum rc rc = changes_apply(tx, r->svc->content, &r->in->tenant, NULL, x->changes, x->n_changes, x->now_us, e);
	for (size_t i = 0; rc == RC_OK && i < x->n_changes; i++)
		if (!x->changes[i].row.done) /* under the lock only a bug could */
			rc = err_set(e, RC_RETRY, "a recipient changed meanwhile");
	return rc;
}

static enum rc
act(const struct svc_request *r, enum leg_event event, const char *action, struct buf *reply, struct err *e)
{
	struct act x = {.r = r,
			.event = event,
			.action = action,
			.now_us = clock_wall_us(),
			.reply = SEKISHO__DELIVERY__ACT_REPLY__INIT};
	const Sekisho__Delivery__ActRequest *q = NULL;
	struct db_tx *tx = NULL;
	struct uuid id;
	bool again = false;
	if (!r->in->has_tenant)
		return err_set(e, RC_DENIED, "only for a tenant");
	enum rc rc = decode(&x, &id, &q, e);
	if (rc == RC_OK)
		svc_record_subject(r, &id);
	if (rc == RC_OK)
		rc = db_begin(r->svc->db, &r->in->tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &again, e);
	if (rc == RC_OK && !again) {
		rc = store_show(tx, &r->in->tenant, &id, true, r->in->arena, &x.view, e);
		if (rc == RC_OK)
			rc = act_locked(&x, tx, &id, q, e);
		if (rc == RC_OK)
			rc = codec_pack(&x.reply.base, reply, e);
		if (rc == RC_OK)
			rc = svc_once_end(r, tx, buf_bytes(reply), e);
		if (rc == RC_OK)
			rc = db_commit(&tx, e);
	}
	db_end(&tx);
	if (rc == RC_OK && x.n_changes > 0)
		scheduler_wake(delivery.scheduler);
	return rc;
}

enum rc
handle_release(const struct svc_request *r, struct buf *reply, struct err *e)
{
	return act(r, LEG_ON_RELEASE, "recipient.released", reply, e);
}

enum rc
handle_discard(const struct svc_request *r, struct buf *reply, struct err *e)
{
	return act(r, LEG_ON_DISCARD, "recipient.discarded", reply, e);
}
