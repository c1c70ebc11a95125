/* SPDX-License-Identifier: MIT
 *
 * The store against a real database, as the role sekisho_notify (tools/with-postgres.sh gives SEKISHO_TEST_DB): who may
 * be at a webhook, what a hint or a person's change in the middle of a turn does, what is kept.
 */
#include "store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/clock.h"

#define SOON   (clock_mono_ms() + 10000)
#define SECOND INT64_C(1000000)
#define NOW    INT64_C(1800000000000000)

static struct db_pool *pool;
static struct arena *arena;
static struct err e;

static int
setup(void **state)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char command[1500], as_notify[512];
	if (conninfo == NULL) {
		fprintf(stderr, "SEKISHO_TEST_DB is not set: run by tools/with-postgres.sh\n");
		return 1;
	}
	snprintf(as_notify, sizeof(as_notify), "%s dbname=notify_test user=sekisho_notify", conninfo);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE notify_test OWNER sekisho_owner' && "
		 "psql -qX \"%s dbname=notify_test\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f services/notify/migrations/0001_notify.sql",
		 conninfo, conninfo);
	struct db_options o = {.conninfo = as_notify, .size = 4, .intent_sql = DB_INTENT_SQL("notify")};
	arena = arena_new();
	return system(command) != 0 || db_pool_new(&o, &pool, NULL) != RC_OK;
}

static int
teardown(void **state)
{
	db_pool_free(&pool);
	arena_free(&arena);
	return 0;
}

/* Each test begins with nothing due. */
static int
clear(void **state)
{
	struct db_tx *tx;
	assert_int_equal(db_begin(pool, NULL, SOON, &tx, &e), RC_OK);
	assert_int_equal(db_exec(tx, "DELETE FROM notify.due", NULL, &e), RC_OK);
	assert_int_equal(db_commit(&tx, &e), RC_OK);
	return 0;
}

/* In a transaction of the tenant; the commit must succeed if the work did. */
#define IN_TX(tenant, work)                                                                                            \
	({                                                                                                             \
		struct db_tx *tx = NULL;                                                                               \
		enum rc rc_ = db_begin(pool, (tenant), SOON, &tx, &e);                                                 \
		if (rc_ == RC_OK)                                                                                      \
			rc_ = (work);                                                                                  \
		if (rc_ == RC_OK)                                                                                      \
			rc_ = db_commit(&tx, &e);                                                                      \
		db_end(&tx);                                                                                           \
		if (rc_ == RC_INTERNAL)                                                                                \
			fail_msg("%s", e.text);                                                                        \
		rc_;                                                                                                   \
	})

static struct uuid
make(const struct uuid *tenant, int64_t made_us)
{
	static const char *const types[] = {"message.accepted", "recipient.delivered"};
	struct store_webhook w = {
	    .id = uuid_v7(made_us),
	    .url = bytes_str("https://hooks.example/x"),
	    .description = bytes_str("受信"),
	    .types = types,
	    .n_types = 2,
	    .enabled = true,
	    .disabled_why = "",
	    .made_us = made_us,
	    .sealed = bytes_str("sealed"),
	    .position = 7,
	};
	assert_int_equal(IN_TX(tenant, store_webhook_add(tx, tenant, &w, &e)), RC_OK);
	return w.id;
}

static struct store_webhook
get(const struct uuid *tenant, const struct uuid *id)
{
	struct store_webhook w;
	assert_int_equal(IN_TX(tenant, store_webhook_get(tx, tenant, id, false, arena, &w, &e)), RC_OK);
	return w;
}

static struct store_claim *
claim_at(int64_t now_us, int32_t limit, int32_t slow, int32_t per_tenant, size_t *n_r)
{
	struct store_claim_wish w = {
	    .owner = uuid_v7(now_us),
	    .now_us = now_us,
	    .lease_us = now_us + 60 * SECOND,
	    .limit = limit,
	    .slow_limit = slow,
	    .per_tenant = per_tenant,
	    .slow_ms = 2000,
	};
	struct store_claim *v;
	if (store_claim(pool, &w, arena, &v, n_r, SOON, &e) != RC_OK)
		fail_msg("%s", e.text);
	return v;
}

static struct store_progress
progress(const struct store_claim *c, const struct store_webhook *w)
{
	return (struct store_progress){
	    .claim = c,
	    .position = w->position,
	    .failing_since_us = DB_TIME_NULL,
	    .last_error = "",
	    .last = true,
	    .kind = "idle",
	    .due_us = NOW + 600 * SECOND,
	    .next_at_us = DB_TIME_NULL,
	    .now_us = NOW,
	    .webhook_version = w->version,
	};
}

static enum rc
apply(const struct store_progress *p, bool *changed_r)
{
	*changed_r = false;
	return IN_TX(&p->claim->tenant, store_progress(tx, p, changed_r, &e));
}

/* --- webhooks ------------------------------------------------------------------------------------------------ */
static void
webhooks_are_kept(void **state)
{
	const struct uuid tenant = uuid_v7(NOW), other = uuid_v7(NOW), zero = {{0}};
	struct uuid a = make(&tenant, NOW), b = make(&tenant, NOW + SECOND);
	struct store_webhook w = get(&tenant, &a), *page;
	size_t n;
	int64_t count;
	assert_true(bytes_eq(w.description, bytes_str("受信")));
	assert_int_equal(w.n_types, 2);
	assert_string_equal(w.types[1], "recipient.delivered");
	assert_int_equal(w.version, 1);
	assert_int_equal(w.position, 7);
	assert_null(w.old_sealed.p);
	assert_int_equal(w.failing_since_us, DB_TIME_NULL);
	assert_string_equal(w.kind, "ready");
	assert_int_equal(IN_TX(&tenant, store_webhook_page(tx, &tenant, &zero, 10, arena, &page, &n, &e)), RC_OK);
	assert_int_equal(n, 2);
	assert_true(uuid_eq(&page[0].id, &a));
	assert_int_equal(IN_TX(&tenant, store_webhook_page(tx, &tenant, &a, 10, arena, &page, &n, &e)), RC_OK);
	assert_int_equal(n, 1);
	/* another tenant's are not there */
	assert_int_equal(IN_TX(&other, store_webhook_get(tx, &other, &a, false, arena, &w, &e)), RC_NOT_FOUND);
	assert_int_equal(IN_TX(&other, store_webhook_get(tx, &tenant, &a, false, arena, &w, &e)), RC_NOT_FOUND);
	w = get(&tenant, &a);
	w.n_types = 0;
	w.enabled = false;
	w.disabled_why = "by a person";
	assert_int_equal(IN_TX(&tenant, store_webhook_set(tx, &tenant, &w, NOW, &e)), RC_OK);
	w.old_sealed = w.sealed;
	w.old_until_us = NOW + SECOND;
	w.sealed = bytes_str("new");
	assert_int_equal(IN_TX(&tenant, store_webhook_secrets(tx, &tenant, &w, &e)), RC_OK);
	w = get(&tenant, &a);
	assert_int_equal(w.n_types, 0);
	assert_false(w.enabled);
	assert_int_equal(w.version, 3);
	assert_string_equal(w.kind, "off");
	assert_true(bytes_eq(w.old_sealed, bytes_str("sealed")));
	assert_int_equal(IN_TX(&tenant, store_webhook_delete(tx, &tenant, &b, &e)), RC_OK);
	assert_int_equal(IN_TX(&tenant, store_webhook_count(tx, &tenant, &count, &e)), RC_OK);
	assert_int_equal(count, 1);
}

/* --- claims -------------------------------------------------------------------------------------------------- */
static void
one_at_a_time(void **state)
{
	const struct uuid tenant = uuid_v7(NOW);
	make(&tenant, NOW);
	size_t n;
	struct store_claim *first = claim_at(NOW, 10, 10, 4, &n);
	assert_int_equal(n, 1);
	(void)claim_at(NOW + SECOND, 10, 10, 4, &n);
	assert_int_equal(n, 0);
	/* when the lease has ended another may, and its epoch is another */
	struct store_claim *second = claim_at(NOW + 61 * SECOND, 10, 10, 4, &n);
	assert_int_equal(n, 1);
	assert_int_equal(second->epoch, first->epoch + 1);
	struct store_webhook w = get(&tenant, &first->id);
	struct store_progress p = progress(first, &w);
	bool changed;
	p.position = 99;
	assert_int_equal(apply(&p, &changed), RC_CONFLICT);
	assert_int_equal(get(&tenant, &first->id).position, 7);
	p = progress(second, &w);
	p.position = 9;
	assert_int_equal(apply(&p, &changed), RC_OK);
	assert_int_equal(get(&tenant, &first->id).position, 9);
}

static void
tenants_take_turns(void **state)
{
	const struct uuid many = uuid_v7(NOW), one = uuid_v7(NOW);
	for (int i = 0; i < 8; i++)
		make(&many, NOW + i);
	make(&one, NOW + 100);
	size_t n;
	struct store_claim *v = claim_at(NOW + SECOND, 6, 6, 2, &n);
	size_t of_one = 0, of_many = 0;
	for (size_t i = 0; i < n; i++) {
		of_one += uuid_eq(&v[i].tenant, &one);
		of_many += uuid_eq(&v[i].tenant, &many);
	}
	assert_int_equal(of_many, 2);
	assert_int_equal(of_one, 1);
	/* with two of a tenant under way it gets no third */
	int32_t busy[] = {2};
	struct store_claim_wish w = {
	    .owner = one,
	    .now_us = NOW + SECOND,
	    .lease_us = NOW + 60 * SECOND,
	    .limit = 6,
	    .slow_limit = 6,
	    .per_tenant = 2,
	    .busy_tenants = &many,
	    .busy = busy,
	    .n_busy = 1,
	    .slow_ms = 2000,
	};
	assert_int_equal(store_claim(pool, &w, arena, &v, &n, SOON, &e), RC_OK);
	assert_int_equal(n, 0);
	busy[0] = 1;
	assert_int_equal(store_claim(pool, &w, arena, &v, &n, SOON, &e), RC_OK);
	assert_int_equal(n, 1);
}

static void
slow_ones_leave_room(void **state)
{
	const struct uuid slow = uuid_v7(NOW), quick = uuid_v7(NOW);
	size_t n;
	bool changed;
	for (int i = 0; i < 4; i++) {
		struct uuid id = make(&slow, NOW + i);
		struct store_claim *c = claim_at(NOW + i, 1, 1, 9, &n);
		struct store_webhook w = get(&slow, &id);
		struct store_progress p = progress(c, &w);
		p.last_ms = i % 2 == 0 ? 5000 : 10;
		p.kind = i % 2 == 0 ? "ready" : "retry";
		p.due_us = NOW + 10 + i;
		assert_int_equal(apply(&p, &changed), RC_OK);
	}
	struct uuid q = make(&quick, NOW + 1000);
	struct store_claim *v = claim_at(NOW + SECOND, 3, 1, 9, &n);
	assert_int_equal(n, 2);
	assert_true(v[0].slow != v[1].slow);
	assert_true(uuid_eq(&v[v[0].slow].id, &q));
}

static void
hints_are_not_lost(void **state)
{
	const struct uuid tenant = uuid_v7(NOW), other = uuid_v7(NOW);
	struct uuid id = make(&tenant, NOW);
	size_t n;
	bool changed;
	struct store_claim *c = claim_at(NOW, 1, 1, 1, &n);
	struct store_webhook w = get(&tenant, &id);
	struct store_progress p = progress(c, &w);
	/* comes while somebody is at it, who finds nothing more */
	assert_int_equal(store_hint(pool, &tenant, 1, NOW, SOON, &e), RC_OK);
	assert_int_equal(apply(&p, &changed), RC_OK);
	assert_int_equal(get(&tenant, &id).due_us, NOW);
	c = claim_at(NOW, 1, 1, 1, &n);
	assert_int_equal(n, 1);
	p = progress(c, &w);
	assert_int_equal(apply(&p, &changed), RC_OK);
	assert_int_equal(get(&tenant, &id).due_us, NOW + 600 * SECOND);
	/* comes while it is idle; another tenant's does nothing */
	assert_int_equal(store_hint(pool, &other, 1, NOW + SECOND, SOON, &e), RC_OK);
	assert_int_equal(get(&tenant, &id).due_us, NOW + 600 * SECOND);
	assert_int_equal(store_hint(pool, &tenant, 1, NOW + SECOND, SOON, &e), RC_OK);
	assert_int_equal(get(&tenant, &id).due_us, NOW + SECOND);
	/* does not shorten a wait on the ladder */
	c = claim_at(NOW + SECOND, 1, 1, 1, &n);
	p = progress(c, &w);
	p.kind = "retry";
	assert_int_equal(apply(&p, &changed), RC_OK);
	assert_int_equal(store_hint(pool, &tenant, 1, NOW + SECOND, SOON, &e), RC_OK);
	assert_int_equal(get(&tenant, &id).due_us, NOW + 600 * SECOND);
}

/* --- turns --------------------------------------------------------------------------------------------------- */
static void
a_person_changes_it_meanwhile(void **state)
{
	const struct uuid tenant = uuid_v7(NOW);
	struct uuid id = make(&tenant, NOW);
	size_t n;
	bool changed;
	struct store_claim *c = claim_at(NOW, 1, 1, 1, &n);
	struct store_webhook loaded = get(&tenant, &id), w = loaded;
	w.url = bytes_str("https://other.example/");
	assert_int_equal(IN_TX(&tenant, store_webhook_set(tx, &tenant, &w, NOW + 5, &e)), RC_OK);
	struct store_progress p = progress(c, &loaded);
	p.position = 8;
	p.delivered = 1;
	p.attempts = 3;
	p.failing_since_us = NOW;
	p.last_error = "HTTP 500";
	p.disable_why = "nothing arrived";
	p.kind = "off";
	assert_int_equal(apply(&p, &changed), RC_OK);
	assert_true(changed);
	w = get(&tenant, &id);
	assert_int_equal(w.position, 8); /* what was sent is sent */
	assert_int_equal(w.delivered, 1);
	assert_true(w.enabled);
	assert_int_equal(w.attempts, 0);
	assert_string_equal(w.last_error, "");
	assert_string_equal(w.kind, "ready");
	assert_true(w.due_us <= NOW + 5);
	(void)claim_at(NOW + 10, 1, 1, 1, &n);
	assert_int_equal(n, 1);
}

static void
disabled_and_deleted(void **state)
{
	const struct uuid tenant = uuid_v7(NOW);
	struct uuid id = make(&tenant, NOW);
	size_t n;
	bool changed;
	struct store_claim *c = claim_at(NOW, 1, 1, 1, &n);
	struct store_webhook w = get(&tenant, &id);
	struct store_progress p = progress(c, &w);
	p.disable_why = "the receiver answered 410 Gone";
	p.kind = "off";
	assert_int_equal(apply(&p, &changed), RC_OK);
	w = get(&tenant, &id);
	assert_false(w.enabled);
	assert_string_equal(w.disabled_why, "the receiver answered 410 Gone");
	assert_int_equal(w.version, 2);
	(void)claim_at(NOW + 9999 * SECOND, 1, 1, 1, &n);
	assert_int_equal(n, 0);
	assert_int_equal(IN_TX(&tenant, store_webhook_delete(tx, &tenant, &id, &e)), RC_OK);
	assert_int_equal(apply(&p, &changed), RC_NOT_FOUND);
}

static struct store_attempt
attempt(int64_t at_us, int64_t position, bool ok)
{
	return (struct store_attempt){
	    .id = uuid_v7(at_us),
	    .event = uuid_v7(position * 1000),
	    .type = "message.accepted",
	    .position = position,
	    .at_us = at_us,
	    .number = 1,
	    .status = ok ? 200 : 500,
	    .error = ok ? "" : "HTTP 500",
	    .response = bytes_of("\xff\x00ok", 4),
	    .ok = ok,
	};
}

static void
attempts_are_kept_within_bounds(void **state)
{
	const struct uuid tenant = uuid_v7(NOW);
	struct uuid id = make(&tenant, NOW);
	struct store_attempt v[20], *page;
	struct store_claim from = {0};
	int64_t *positions;
	size_t n;
	bool done;
	for (int i = 0; i < 20; i++)
		v[i] = attempt(NOW + i * SECOND, 100 + i / 2, i % 2 == 1);
	assert_int_equal(IN_TX(&tenant, store_attempts_add(tx, &tenant, &id, v, 20, &e)), RC_OK);
	assert_int_equal(IN_TX(&tenant, store_attempts_page(tx, &tenant, &id, NULL, false, 50, arena, &page, &n, &e)),
			 RC_OK);
	assert_int_equal(n, 20);
	assert_true(uuid_eq(&page[0].id, &v[19].id)); /* newest first */
	assert_true(bytes_eq(page[0].response, bytes_of("\xff\x00ok", 4)));
	assert_int_equal(
	    IN_TX(&tenant, store_attempts_page(tx, &tenant, &id, &v[10].id, true, 3, arena, &page, &n, &e)), RC_OK);
	assert_int_equal(n, 3);
	assert_true(uuid_eq(&page[0].id, &v[8].id));
	struct uuid events[] = {v[4].event, v[0].event, v[5].event, uuid_v7(1)};
	assert_int_equal(IN_TX(&tenant, store_event_positions(tx, &tenant, &id, events, 4, arena, &positions, &n, &e)),
			 RC_OK);
	if (uuid_eq(&events[0], &events[2]))
		assert_int_equal(n, 2);
	assert_int_equal(positions[0], 100);
	/* by age: the first five; by number: of the others the last eight stay */
	assert_int_equal(store_tidy(pool, &from, NOW + 5 * SECOND, 8, 100, arena, &done, SOON, &e), RC_OK);
	assert_true(done);
	assert_int_equal(IN_TX(&tenant, store_attempts_page(tx, &tenant, &id, NULL, false, 50, arena, &page, &n, &e)),
			 RC_OK);
	assert_int_equal(n, 8);
	from = (struct store_claim){0};
	assert_int_equal(store_tidy(pool, &from, NOW + 15 * SECOND, 8, 100, arena, &done, SOON, &e), RC_OK);
	assert_int_equal(IN_TX(&tenant, store_attempts_page(tx, &tenant, &id, NULL, false, 50, arena, &page, &n, &e)),
			 RC_OK);
	assert_int_equal(n, 5);
}

static void
replays_in_their_order(void **state)
{
	const struct uuid tenant = uuid_v7(NOW);
	struct uuid id = make(&tenant, NOW);
	struct store_replay v[] = {{.id = uuid_v7(NOW), .next = 5, .until = 9, .due_us = NOW},
				   {.id = uuid_v7(NOW), .next = 1, .until = 2, .due_us = NOW + 1}},
			    got;
	struct store_webhook w;
	size_t n;
	bool changed;
	int64_t count;
	assert_int_equal(IN_TX(&tenant, store_replays_add(tx, &tenant, &id, v, 2, &e)), RC_OK);
	struct store_claim *c = claim_at(NOW, 1, 1, 1, &n);
	assert_int_equal(store_turn_load(pool, c, arena, &w, &got, SOON, &e), RC_OK);
	assert_int_equal(got.next, 5);
	struct store_progress p = progress(c, &w);
	got.next = 7;
	got.attempts = 2;
	got.due_us = NOW + 50 * SECOND;
	p.last = false;
	p.replay = &got;
	assert_int_equal(apply(&p, &changed), RC_OK);
	assert_int_equal(store_turn_load(pool, c, arena, &w, &got, SOON, &e), RC_OK);
	assert_int_equal(got.next, 1); /* the other is due first now */
	got.next = 2;
	assert_int_equal(apply(&p, &changed), RC_OK);
	assert_int_equal(store_turn_load(pool, c, arena, &w, &got, SOON, &e), RC_OK);
	assert_int_equal(got.next, 7);
	assert_int_equal(got.attempts, 2);
	assert_int_equal(IN_TX(&tenant, store_replays_count(tx, &tenant, &id, &count, &e)), RC_OK);
	assert_int_equal(count, 1);
}

static void
heads_once_a_period(void **state)
{
	const struct uuid tenant = uuid_v7(NOW);
	int64_t period, size;
	bool first;
	assert_int_equal(IN_TX(&tenant, store_head_get(tx, &tenant, &period, &size, &e)), RC_OK);
	assert_int_equal(period, -1);
	assert_int_equal(IN_TX(&tenant, store_head_set(tx, &tenant, 20000, 55, NOW, &first, &e)), RC_OK);
	assert_true(first);
	assert_int_equal(IN_TX(&tenant, store_head_set(tx, &tenant, 20000, 56, NOW, &first, &e)), RC_OK);
	assert_false(first);
	assert_int_equal(IN_TX(&tenant, store_head_get(tx, &tenant, &period, &size, &e)), RC_OK);
	assert_int_equal(size, 55);
}

static void
stats_say_how_late(void **state)
{
	const struct uuid tenant = uuid_v7(NOW);
	struct uuid id = make(&tenant, NOW);
	struct store_stats s;
	size_t n;
	bool changed;
	struct store_claim *c = claim_at(NOW, 1, 1, 1, &n);
	struct store_webhook w = get(&tenant, &id);
	struct store_progress p = progress(c, &w);
	p.kind = "retry";
	p.next_at_us = NOW - 77 * SECOND;
	assert_int_equal(apply(&p, &changed), RC_OK);
	assert_int_equal(store_stats(pool, NOW, &s, SOON, &e), RC_OK);
	assert_int_equal(s.retry, 1);
	assert_int_equal(s.oldest_us, NOW - 77 * SECOND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(webhooks_are_kept, clear),
	    cmocka_unit_test_setup(one_at_a_time, clear),
	    cmocka_unit_test_setup(tenants_take_turns, clear),
	    cmocka_unit_test_setup(slow_ones_leave_room, clear),
	    cmocka_unit_test_setup(hints_are_not_lost, clear),
	    cmocka_unit_test_setup(a_person_changes_it_meanwhile, clear),
	    cmocka_unit_test_setup(disabled_and_deleted, clear),
	    cmocka_unit_test_setup(attempts_are_kept_within_bounds, clear),
	    cmocka_unit_test_setup(replays_in_their_order, clear),
	    cmocka_unit_test_setup(heads_once_a_period, clear),
	    cmocka_unit_test_setup(stats_say_how_late, clear),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
