/* SPDX-License-Identifier: MIT
 *
 * One effect per key, whoever asks when: in turn, at once, for other tenants, after a failure.
 */
#include "svc/once.h"

#include "svc/testing.h"

#include <pthread.h>

#include "subjects.h"

static const struct svc_once_sql once_sql = SVC_ONCE_SQL("svc_test");
static struct svc svc = {.name = "policy", .once_sql = &once_sql};
static _Atomic int64_t effects;

static int
setup(void **state)
{
	if (testing_setup("once_test") != 0)
		return 1;
	svc.db = testing_pool;
	return content_open(testing_kek, testing_pool, &svc.content, NULL) != RC_OK;
}

static int
teardown(void **state)
{
	content_free(&svc.content);
	return testing_teardown();
}

struct asking {
	const struct actor *actor;
	const char *key, *payload, *subject;
	struct uuid effect_tenant; /* whose rows change; nil: the caller's own */
	bool fail;		   /* after the effect, before the commit */
	pthread_barrier_t *start;
	/* answer */
	enum rc rc;
	char reply[64];
	struct err err;
};

static const char sql_effect[] = "INSERT INTO svc_test.effect (tenant, n) VALUES ($1, $2)";

/* As a handler does it. */
static enum rc
handler(const struct svc_request *r, const struct asking *q, struct buf *reply, struct err *e)
{
	struct db_tx *tx = NULL;
	bool done = false;
	const struct uuid *tenant = uuid_is_nil(&q->effect_tenant) ? &r->in->tenant : &q->effect_tenant;
	enum rc rc = db_begin(r->svc->db, tenant, r->in->deadline_ms, &tx, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, tx, reply, &done, e);
	if (rc == RC_OK && !done) {
		struct db_args a;
		int64_t n = ++effects;
		buf_addf(reply, "effect %lld of %.*s", (long long)n, (int)r->in->payload.n,
			 (const char *)r->in->payload.p);
		db_args_init(&a);
		db_arg_uuid(&a, tenant);
		db_arg_long(&a, n);
		rc = db_exec(tx, sql_effect, &a, e);
		if (rc == RC_OK)
			rc = svc_once_end(r, tx, buf_bytes(reply), e);
		if (rc == RC_OK && q->fail)
			rc = err_set(e, RC_INVALID, "not to be");
		if (rc == RC_OK)
			rc = db_commit(&tx, e);
	}
	db_end(&tx);
	return rc;
}

static void *
ask_thread(void *arg)
{
	struct asking *q = arg;
	struct buf reply;
	struct arena *arena = arena_new();
	struct bus_incoming in = {.subject = q->subject != NULL ? q->subject : RPC_AUTH_KEY_CREATE,
				  .tenant = q->actor->tenant,
				  .has_tenant = !uuid_is_nil(&q->actor->tenant),
				  .idempotency_key = q->key,
				  .payload = bytes_str(q->payload),
				  .deadline_ms = clock_mono_ms() + TESTING_MS,
				  .arena = arena};
	struct svc_request r = {.svc = &svc, .in = &in, .actor = q->actor};
	buf_init(&reply, 0);
	if (q->start != NULL)
		pthread_barrier_wait(q->start);
	q->rc = handler(&r, q, &reply, &q->err);
	snprintf(q->reply, sizeof(q->reply), "%.*s", (int)reply.n, reply.n > 0 ? (const char *)reply.p : "");
	buf_done(&reply);
	arena_free(&arena);
	return NULL;
}

static struct asking
ask(struct asking q)
{
	ask_thread(&q);
	return q;
}

static struct actor
somebody(void)
{
	int64_t now = clock_wall_us();
	return (struct actor){.tenant = uuid_v7(now), .account = uuid_v7(now), .name = "somebody", .from = "192.0.2.1"};
}

#define ASK(...) ask((struct asking){__VA_ARGS__})

static void
the_second_time_gets_the_first_answer(void **state)
{
	struct actor me = somebody();
	struct asking one = ASK(.actor = &me, .key = "k-1", .payload = "a");
	int64_t before = effects;
	struct asking two = ASK(.actor = &me, .key = "k-1", .payload = "a");
	assert_int_equal(one.rc, RC_OK);
	assert_int_equal(two.rc, RC_OK);
	assert_string_equal(one.reply, two.reply);
	assert_int_equal(effects, before);
	struct asking other = ASK(.actor = &me, .key = "k-1", .payload = "b");
	assert_int_equal(other.rc, RC_CONFLICT);
	assert_string_equal(other.err.text, "this idempotency key belongs to another request");
	assert_string_equal(other.reply, "");
	assert_int_equal(effects, before);
	/* Without a key every request has its effect. */
	assert_int_equal(ASK(.actor = &me, .payload = "a").rc, RC_OK);
	assert_int_equal(ASK(.actor = &me, .key = "", .payload = "a").rc, RC_OK);
	assert_int_equal(effects, before + 2);
}

static void
the_same_text_elsewhere_is_another_key(void **state)
{
	struct actor me = somebody(), stranger = somebody(), colleague = me, own = me, other = me;
	colleague.account = uuid_v7(clock_wall_us());
	own.account = other.account = (struct uuid){0};
	own.name = "crm";
	other.name = "erp";
	struct asking all[] = {
	    ASK(.actor = &me, .key = "k", .payload = "a"),
	    ASK(.actor = &stranger, .key = "k", .payload = "a"),
	    ASK(.actor = &colleague, .key = "k", .payload = "a"),
	    ASK(.actor = &own, .key = "k", .payload = "a"),
	    ASK(.actor = &other, .key = "k", .payload = "a"),
	    ASK(.actor = &me, .key = "k", .payload = "a", .subject = RPC_AUTH_USER_CREATE),
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		assert_int_equal(all[i].rc, RC_OK);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(all[i].reply, all[k].reply);
	}
}

/* Answers hold secrets: a narrow key of the same person's is not told what a stronger one made. */
static void
another_credential_gets_no_answer_of_a_stronger_one(void **state)
{
	struct actor strong = somebody(), narrow, again;
	strong.permissions[strong.n_permissions++] = "key.write";
	strong.permissions[strong.n_permissions++] = "message.read";
	strong.permissions[strong.n_permissions++] = "policy.write";
	narrow = again = strong;
	narrow.n_permissions = 1;
	again.permissions[0] = "policy.write"; /* the same set in another order is the same key */
	again.permissions[2] = "key.write";
	struct asking one = ASK(.actor = &strong, .key = "c", .payload = "a");
	struct asking two = ASK(.actor = &narrow, .key = "c", .payload = "a");
	struct asking three = ASK(.actor = &again, .key = "c", .payload = "a");
	assert_int_equal(one.rc, RC_OK);
	assert_int_equal(two.rc, RC_OK);
	assert_int_equal(three.rc, RC_OK);
	assert_string_not_equal(one.reply, two.reply);
	assert_string_equal(one.reply, three.reply);
	/* Nor whether it is another request's. */
	assert_int_equal(ASK(.actor = &narrow, .key = "d", .payload = "b").rc, RC_OK);
	assert_int_equal(ASK(.actor = &strong, .key = "d", .payload = "a").rc, RC_OK);
}

static void
what_failed_is_tried_anew(void **state)
{
	struct actor me = somebody();
	struct asking bad = ASK(.actor = &me, .key = "f", .payload = "a", .fail = true);
	assert_int_equal(bad.rc, RC_INVALID);
	int64_t before = effects;
	assert_int_equal(ASK(.actor = &me, .key = "f", .payload = "a").rc, RC_OK);
	assert_int_equal(effects, before + 1);
}

static void
the_platform_makes_something_of_a_tenant(void **state)
{
	struct actor platform = {.name = "platform", .from = "192.0.2.9"};
	struct uuid tenant = uuid_v7(clock_wall_us());
	struct asking one = ASK(.actor = &platform, .key = "p", .payload = "t", .effect_tenant = tenant);
	struct uuid again = uuid_v7(clock_wall_us()); /* a second try makes another id, and does not use it */
	struct asking two = ASK(.actor = &platform, .key = "p", .payload = "t", .effect_tenant = again);
	assert_int_equal(one.rc, RC_OK);
	assert_int_equal(two.rc, RC_OK);
	assert_string_equal(one.reply, two.reply);
	assert_int_equal(testing_count("SELECT count(*) FROM svc_test.idempotency "
				       "WHERE tenant = '00000000-0000-0000-0000-000000000000'"),
			 1);
}

static void
many_at_once_have_one_effect(void **state)
{
	enum { N = 12, ROUNDS = 20 };
	for (int round = 0; round < ROUNDS; round++) {
		struct asking q[N];
		pthread_t threads[N];
		pthread_barrier_t start;
		struct actor me = somebody();
		int64_t before = effects;
		pthread_barrier_init(&start, NULL, N);
		for (int i = 0; i < N; i++) {
			q[i] = (struct asking){.actor = &me, .key = "race", .payload = "a", .start = &start};
			assert_int_equal(pthread_create(&threads[i], NULL, ask_thread, &q[i]), 0);
		}
		for (int i = 0; i < N; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < N; i++) {
			if (q[i].rc != RC_OK)
				fail_msg("%s", q[i].err.text);
			assert_string_equal(q[i].reply, q[0].reply);
		}
		assert_int_equal(effects, before + 1);
		pthread_barrier_destroy(&start);
	}
}

static void
answers_are_sealed_and_bound_to_their_key(void **state)
{
	struct actor me = somebody();
	assert_int_equal(ASK(.actor = &me, .key = "s-1", .payload = "hush").rc, RC_OK);
	assert_int_equal(ASK(.actor = &me, .key = "s-2", .payload = "hush").rc, RC_OK);
	assert_int_equal(
	    testing_count("SELECT count(*) FROM svc_test.idempotency "
			  "WHERE position('hush'::bytea IN reply) > 0 OR position('s-1'::bytea IN key) > 0"),
	    0);
	/* Somebody with the database in his hands moves answers about. */
	struct db_tx *tx = NULL;
	assert_int_equal(db_begin(testing_admin, NULL, clock_mono_ms() + TESTING_MS, &tx, NULL), RC_OK);
	assert_int_equal(db_exec(tx,
				 "UPDATE svc_test.idempotency i SET reply = (SELECT reply FROM svc_test.idempotency o "
				 "WHERE o.tenant = i.tenant AND o.key <> i.key LIMIT 1) WHERE i.tenant IN "
				 "(SELECT tenant FROM svc_test.idempotency GROUP BY tenant HAVING count(*) = 2)",
				 NULL, NULL),
			 RC_OK);
	assert_int_equal(db_commit(&tx, NULL), RC_OK);
	struct asking moved = ASK(.actor = &me, .key = "s-1", .payload = "hush");
	assert_int_equal(moved.rc, RC_INTERNAL);
	assert_string_equal(moved.reply, "");
}

static void
a_long_answer_is_refused_before_the_effect(void **state)
{
	struct actor me = somebody();
	struct db_tx *tx = NULL;
	struct err e = {0};
	struct bus_incoming in = {
	    .subject = RPC_AUTH_KEY_CREATE, .tenant = me.tenant, .idempotency_key = "long", .payload = bytes_str("a")};
	struct svc_request r = {.svc = &svc, .in = &in, .actor = &me};
	assert_int_equal(db_begin(testing_pool, &me.tenant, clock_mono_ms() + TESTING_MS, &tx, &e), RC_OK);
	assert_int_equal(svc_once_end(&r, tx, bytes_of(NULL, SVC_ONCE_REPLY_MAX + 1), &e), RC_LIMIT);
	db_end(&tx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_second_time_gets_the_first_answer),
	    cmocka_unit_test(the_same_text_elsewhere_is_another_key),
	    cmocka_unit_test(another_credential_gets_no_answer_of_a_stronger_one),
	    cmocka_unit_test(what_failed_is_tried_anew),
	    cmocka_unit_test(the_platform_makes_something_of_a_tenant),
	    cmocka_unit_test(answers_are_sealed_and_bound_to_their_key),
	    cmocka_unit_test(many_at_once_have_one_effect),
	    cmocka_unit_test(a_long_answer_is_refused_before_the_effect),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
