/* SPDX-License-Identifier: MIT
 *
 * The log as a feed of events: entries whose action is a public event (proto/actions.tsv), with the members that table
 * names and no others.
 */
#include <jansson.h>
#include <stdlib.h>

#include "actions.h"
#include "handlers.h"
#include "core/log.h"
#include "record/entry.h"

#define LIMIT_MAX     1000
#define LIMIT_DEFAULT 100
#define TYPES_MAX     100
#define WINDOW	      20000 /* positions one answer looks at */
#define ACTIONS_MAX   256

/* The actions behind the types asked for; all if none was. */
static enum rc
take_types(const Sekisho__Audit__EventsRequest *q, const char *actions[ACTIONS_MAX], size_t *n_r, struct err *e)
{
	size_t n = 0;
	if (q->n_types > TYPES_MAX)
		return err_set(e, RC_INVALID, "types: at most %d", TYPES_MAX);
	for (const struct action_event *t = action_events; t->action != NULL && n < ACTIONS_MAX; t++) {
		bool wanted = q->n_types == 0;
		for (size_t i = 0; i < q->n_types && !wanted; i++)
			wanted = strcmp(q->types[i], t->event) == 0;
		if (wanted)
			actions[n++] = t->action;
	}
	for (size_t i = 0; i < q->n_types; i++) {
		const struct action_event *t = action_events;
		while (t->action != NULL && strcmp(t->event, q->types[i]) != 0)
			t++;
		if (t->action == NULL)
			return err_set(e, RC_INVALID, "there are no events \"%.60s\"", q->types[i]);
	}
	*n_r = n;
	return RC_OK;
}

/* {"<subject>":"<id>","recipient":N, and what the table lets out of the detail} */
static struct bytes
event_data(const struct action_event *t, const struct record_entry *r, struct arena *a)
{
	json_t *o = json_object();
	json_t *detail = json_loadb((const char *)r->detail.p, r->detail.n, 0, NULL);
	char id[UUID_STR_SIZE];
	uuid_format(&r->subject, id);
	if (!uuid_is_nil(&r->subject))
		json_object_set_new(o, t->subject, json_string(id));
	if (r->number >= 0)
		json_object_set_new(o, "recipient", json_integer(r->number));
	for (const char *const *m = t->members; *m != NULL; m++) {
		json_t *v = json_object_get(detail, *m);
		if (v != NULL)
			json_object_set(o, *m, v);
	}
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	struct bytes data = arena_bytes(a, bytes_str(text != NULL ? text : "{}"));
	free(text);
	json_decref(detail);
	json_decref(o);
	return data;
}

static enum rc
encode_event(const struct svc_request *r, const struct store_entry *v, Sekisho__Audit__Event **out_r, struct err *e)
{
	struct arena *a = r->in->arena;
	struct opened o;
	struct record_entry entry;
	*out_r = NULL;
	enum rc rc = entry_open(&r->in->tenant, v, a, &o, e);
	if (rc == RC_OK && !o.erased)
		rc = record_entry_parse(o.record, a, &entry, e);
	if (rc == RC_INTERNAL || rc == RC_INVALID) { /* it will not open later either: who waits must get past it */
		log_error("an event was left out: its entry does not open", LOG_TENANT(&r->in->tenant),
			  LOG_INT("index", v->index), LOG_ERR(e));
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	const struct action_event *t = action_events;
	while (!o.erased && t->action != NULL && strcmp(t->action, entry.action) != 0)
		t++;
	if (o.erased || t->action == NULL)
		return RC_OK; /* nothing left to tell */
	Sekisho__Audit__Event *m = arena_alloc(a, sizeof(*m));
	*m = (Sekisho__Audit__Event)SEKISHO__AUDIT__EVENT__INIT;
	m->position = v->index;
	m->type = (char *)t->event;
	m->at_us = entry.at_us;
	m->id = handlers_data(arena_bytes(a, bytes_of(entry.id.b, 16)));
	m->subject = handlers_data(arena_bytes(a, bytes_of(entry.subject.b, 16)));
	m->number = entry.number;
	m->data = handlers_data(event_data(t, &entry, a));
	m->traceparent = (char *)entry.trace;
	*out_r = m;
	return RC_OK;
}

enum rc
audit_handle_events(const struct svc_request *r, struct buf *reply, struct err *e)
{
	void *unpacked;
	const char *actions[ACTIONS_MAX];
	struct arena *a = r->in->arena;
	struct store_entry *v = NULL;
	struct db_tx *tx = NULL;
	struct merkle_hash root;
	uint64_t size = 0;
	size_t n = 0, n_actions = 0;
	enum rc rc = handlers_unpack(r, &sekisho__audit__events_request__descriptor, &unpacked, e);
	if (rc != RC_OK)
		return rc;
	const Sekisho__Audit__EventsRequest *q = unpacked;
	if (q->limit > LIMIT_MAX || q->after > INT64_MAX)
		return err_set(e, RC_INVALID, "limit: at most %d", LIMIT_MAX);
	if ((rc = take_types(q, actions, &n_actions, e)) != RC_OK || (rc = handlers_begin(r, &tx, e)) != RC_OK)
		return rc;
	size_t limit = q->limit != 0 ? q->limit : LIMIT_DEFAULT;
	Sekisho__Audit__EventsReply out = SEKISHO__AUDIT__EVENTS_REPLY__INIT;
	rc = store_tree(tx, &r->in->tenant, &size, &root, e);
	uint64_t end = size;
	if (q->from_now || q->after > size) {
		/* After a repair or a mistake: never a position beyond the end, but the asker's own is kept. */
		out.next = q->from_now ? size : q->after;
	} else {
		if (end > q->after + WINDOW)
			end = q->after + WINDOW;
		if (rc == RC_OK)
			rc = store_of_actions(tx, &r->in->tenant, actions, n_actions, q->after, end, (int)limit, a, &v,
					      &n, e);
		out.next = n == limit ? v[n - 1].index + 1 : end;
	}
	db_end(&tx);
	out.size = size;
	out.events = arena_new_array(a, Sekisho__Audit__Event *, n + 1);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		rc = encode_event(r, &v[i], &out.events[out.n_events], e);
		if (rc == RC_OK && out.events[out.n_events] != NULL)
			out.n_events++;
	}
	return rc == RC_OK ? handlers_pack(&out.base, reply, e) : rc;
}
