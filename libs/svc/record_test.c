/* SPDX-License-Identifier: MIT
 *
 * What is on the record when a request was answered: through the whole of request_handle(), with tokens as auth signs
 * them, against a real database.
 */
#include "svc/record.h"

#include "svc/testing.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <sys/stat.h>

#include "proto/delivery.pb-c.h"
#include "svc/svc_internal.h"

static struct svc svc = {.name = "delivery"};
static struct actor_signer *signer;
static char private_pem[80], public_pem[80];
static enum rc answer; /* of the handler */
static bool unchanged;

static int
setup(void **state)
{
	if (testing_setup("record_test") != 0)
		return 1;
	snprintf(private_pem, sizeof(private_pem), "%s/actor.pem", testing_dir);
	snprintf(public_pem, sizeof(public_pem), "%s/actor.pub", testing_dir);
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	FILE *f = fopen(private_pem, "w");
	PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	chmod(private_pem, 0600);
	f = fopen(public_pem, "w");
	PEM_write_PUBKEY(f, k);
	fclose(f);
	EVP_PKEY_free(k);
	svc.db = testing_pool;
	svc.recorder = recorder_new(testing_pool);
	return actor_signer_open(private_pem, &signer, NULL) != RC_OK ||
	       actor_verifier_open(public_pem, &svc.actors, NULL) != RC_OK;
}

static int
teardown(void **state)
{
	recorder_free(&svc.recorder);
	actor_signer_free(&signer);
	actor_verifier_free(&svc.actors);
	unlink(private_pem);
	unlink(public_pem);
	return testing_teardown();
}

static enum rc
handler(const struct svc_request *r, struct buf *reply, struct err *e)
{
	if (answer != RC_OK)
		return err_set(e, answer, "as the test wants it");
	if (unchanged)
		svc_record_unchanged(r);
	buf_add_str(reply, "secret answer");
	return RC_OK;
}

static struct actor
somebody(const char *permission)
{
	struct actor a = {.tenant = uuid_v7(clock_wall_us()),
			  .account = uuid_v7(clock_wall_us()),
			  .name = "somebody",
			  .from = "192.0.2.7",
			  .audience = "delivery",
			  .request = "r-1",
			  .expires_us = clock_wall_us() + 30000000};
	if (permission != NULL)
		a.permissions[a.n_permissions++] = permission;
	return a;
}

static enum rc
call(const char *subject, const struct actor *actor, const ProtobufCMessage *question, enum rc says, struct err *e,
     bool *answered_r)
{
	struct buf token, packed, reply;
	struct arena *arena = arena_new();
	const struct subject_rpc *rule = subject_rpcs;
	while (strcmp(rule->subject, subject) != 0)
		rule++;
	struct svc_endpoint endpoint = {subject, handler};
	struct bound b = {.svc = &svc, .endpoint = &endpoint, .rule = rule};
	buf_init(&token, 0);
	buf_init(&packed, 0);
	buf_init(&reply, 0);
	if (actor != NULL)
		assert_int_equal(actor_sign(signer, actor, &token, e), RC_OK);
	else
		buf_add_str(&token, "forged");
	uint8_t *p = buf_reserve(&packed, protobuf_c_message_get_packed_size(question));
	packed.n = protobuf_c_message_pack(question, p);
	struct bus_incoming in = {.subject = subject,
				  .traceparent = "00-00000000000000000000000000000001-0000000000000002-01",
				  .actor_token = buf_bytes(&token),
				  .idempotency_key = "",
				  .payload = buf_bytes(&packed),
				  .caller = "api",
				  .deadline_ms = clock_mono_ms() + TESTING_MS,
				  .arena = arena};
	answer = says;
	enum rc rc = request_handle(&b, &in, &reply, e);
	*answered_r = reply.n > 0;
	buf_done(&token);
	buf_done(&packed);
	buf_done(&reply);
	arena_free(&arena);
	return rc;
}

static const char *
last_entry(const struct uuid *tenant)
{
	static char text[1500];
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	struct db_args a;
	struct err e = {0};
	db_args_init(&a);
	db_arg_uuid(&a, tenant);
	if (db_begin(testing_admin, NULL, clock_mono_ms() + TESTING_MS, &tx, &e) != RC_OK ||
	    db_query(
		tx,
		"SELECT count(*) || ' ' || coalesce((array_agg(action || ' ' || outcome || ' ' || "
		"encode(actor, 'escape') || ' ' || encode(source, 'escape') || ' ' || subject || ' ' || "
		"encode(detail, 'escape') ORDER BY seq DESC))[1], '') FROM svc_test.audit_intent WHERE tenant = $1",
		&a, &rows, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_true(db_rows_next(rows));
	snprintf(text, sizeof(text), "%s", db_text(rows, 0));
	db_rows_free(&rows);
	db_end(&tx);
	return text;
}

static const char *
expected(int count, const struct actor *a, const char *action, const char *outcome, const struct uuid *subject,
	 const char *detail)
{
	static char text[1500];
	char account[UUID_STR_SIZE], about[UUID_STR_SIZE];
	uuid_format(&a->account, account);
	uuid_format(subject, about);
	snprintf(text, sizeof(text), "%d %s %s %s %s %s %s", count, action, outcome, account, a->from, about, detail);
	return text;
}

static void
reads_and_refusals_are_recorded(void **state)
{
	struct err e = {0};
	bool answered;
	struct actor a = somebody("message.read");
	struct uuid id = uuid_v7(clock_wall_us());
	Sekisho__Delivery__ShowRequest show = SEKISHO__DELIVERY__SHOW_REQUEST__INIT;
	show.id = (ProtobufCBinaryData){16, id.b};
	char detail[300], text[UUID_STR_SIZE];
	uuid_format(&id, text);

	assert_int_equal(call(RPC_DELIVERY_SHOW, &a, &show.base, RC_OK, &e, &answered), RC_OK);
	assert_true(answered);
	snprintf(detail, sizeof(detail), "{\"asked\":{\"id\":\"%s\"}}", text);
	assert_string_equal(last_entry(&a.tenant), expected(1, &a, "delivery.show", "ok", &id, detail));

	assert_int_equal(call(RPC_DELIVERY_SHOW, &a, &show.base, RC_NOT_FOUND, &e, &answered), RC_NOT_FOUND);
	snprintf(detail, sizeof(detail), "{\"asked\":{\"id\":\"%s\"},\"why\":\"as the test wants it\"}", text);
	assert_string_equal(last_entry(&a.tenant), expected(2, &a, "delivery.show", "not_found", &id, detail));

	/* Nothing was told and nothing was done. */
	assert_int_equal(call(RPC_DELIVERY_SHOW, &a, &show.base, RC_RETRY, &e, &answered), RC_RETRY);
	assert_int_equal(last_entry(&a.tenant)[0], '2');

	/* Without the permission the handler is not asked. */
	struct actor other = somebody("queue.read");
	assert_int_equal(call(RPC_DELIVERY_SHOW, &other, &show.base, RC_OK, &e, &answered), RC_DENIED);
	assert_false(answered);
	snprintf(detail, sizeof(detail), "{\"asked\":{\"id\":\"%s\"},\"why\":\"permission message.read is missing\"}",
		 text);
	assert_string_equal(last_entry(&other.tenant), expected(1, &other, "delivery.show", "denied", &id, detail));
}

static void
changes_are_recorded_when_they_fail(void **state)
{
	struct err e = {0};
	bool answered;
	struct actor a = somebody("hold.release");
	Sekisho__Delivery__ActRequest act = SEKISHO__DELIVERY__ACT_REQUEST__INIT;
	act.reason = (char *)"because of the salary list";
	assert_int_equal(call(RPC_DELIVERY_RELEASE, &a, &act.base, RC_OK, &e, &answered), RC_OK);
	assert_string_equal(last_entry(&a.tenant), "0 ");
	assert_int_equal(call(RPC_DELIVERY_RELEASE, &a, &act.base, RC_CONFLICT, &e, &answered), RC_CONFLICT);
	assert_string_equal(last_entry(&a.tenant),
			    expected(1, &a, "delivery.release", "conflict", &a.tenant,
				     "{\"asked\":{\"reason\":{\"octets\":26}},\"why\":\"as the test wants it\"}"));
	/* So is a change that changed nothing: it was asked for, permitted and answered. */
	unchanged = true;
	assert_int_equal(call(RPC_DELIVERY_RELEASE, &a, &act.base, RC_OK, &e, &answered), RC_OK);
	unchanged = false;
	assert_true(answered);
	assert_string_equal(last_entry(&a.tenant),
			    expected(2, &a, "delivery.release", "ok", &a.tenant,
				     "{\"asked\":{\"reason\":{\"octets\":26}},\"unchanged\":true}"));
}

static void
words_of_a_search_are_not_on_the_record(void **state)
{
	struct err e = {0};
	bool answered;
	struct actor a = somebody("message.read");
	Sekisho__Delivery__SearchRequest q = SEKISHO__DELIVERY__SEARCH_REQUEST__INIT;
	q.query = (char *)"人事異動";
	q.limit = 20;
	q.direction = (char *)"outgoing";
	assert_int_equal(call(RPC_DELIVERY_SEARCH, &a, &q.base, RC_OK, &e, &answered), RC_OK);
	const char *got = last_entry(&a.tenant);
	assert_non_null(strstr(got, "\"query\":{\"octets\":12}"));
	assert_non_null(strstr(got, "\"limit\":20"));
	assert_non_null(strstr(got, "\"direction\":\"outgoing\""));
	assert_null(strstr(got, "\\344\\272\\272"));
}

static void
forged_tokens_are_counted(void **state)
{
	static const struct uuid nobody;
	struct err e = {0};
	bool answered;
	Sekisho__Delivery__QueueRequest q = SEKISHO__DELIVERY__QUEUE_REQUEST__INIT;
	for (int i = 0; i < 500; i++)
		assert_int_equal(call(RPC_DELIVERY_QUEUE, NULL, &q.base, RC_OK, &e, &answered), RC_DENIED);
	assert_string_equal(last_entry(&nobody),
			    "1 delivery.queue denied unknown api 00000000-0000-0000-0000-000000000000 "
			    "{\"count\":1,\"reason\":\"not an actor token\"}");
	/* A token for somebody else's door is no better. */
	struct actor a = somebody("queue.read");
	a.audience = "auth";
	assert_int_equal(call(RPC_DELIVERY_QUEUE, &a, &q.base, RC_OK, &e, &answered), RC_DENIED);
	/* The rest is written at the end. */
	recorder_free(&svc.recorder);
	svc.recorder = recorder_new(testing_pool);
	assert_string_equal(last_entry(&nobody),
			    "2 delivery.queue denied unknown api 00000000-0000-0000-0000-000000000000 "
			    "{\"count\":500,\"reason\":\"actor token is for another service\"}");
}

static void
what_cannot_be_recorded_is_not_answered(void **state)
{
	struct err e = {0};
	bool answered;
	struct actor a = somebody("queue.read");
	Sekisho__Delivery__QueueRequest q = SEKISHO__DELIVERY__QUEUE_REQUEST__INIT;
	struct db_pool *gone = NULL;
	struct db_options o = {
	    .conninfo = "host=/nonexistent user=nobody", .size = 2, .intent_sql = DB_INTENT_SQL("x")};
	struct recorder *good = svc.recorder;
	assert_int_equal(db_pool_new(&o, &gone, NULL), RC_OK);
	svc.recorder = recorder_new(gone);
	assert_int_equal(call(RPC_DELIVERY_QUEUE, &a, &q.base, RC_OK, &e, &answered), RC_RETRY);
	assert_false(answered);
	assert_non_null(strstr(e.text, "cannot be recorded now"));
	recorder_free(&svc.recorder);
	db_pool_free(&gone);
	svc.recorder = good;
}

enum { CALLERS = 64, EACH = 25 };
static struct actor crowd[4];

static void *
call_often(void *arg)
{
	struct err e = {0};
	bool answered;
	Sekisho__Delivery__QueueRequest q = SEKISHO__DELIVERY__QUEUE_REQUEST__INIT;
	for (int i = 0; i < EACH; i++)
		if (call(RPC_DELIVERY_QUEUE, arg, &q.base, RC_OK, &e, &answered) != RC_OK)
			return arg;
	return NULL;
}

static void
many_at_once_share_commits(void **state)
{
	pthread_t threads[CALLERS];
	struct recorder_stats before, after;
	recorder_stats(svc.recorder, &before);
	for (int i = 0; i < 4; i++)
		crowd[i] = somebody("queue.read");
	for (int i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_often, &crowd[i % 4]), 0);
	for (int i = 0; i < CALLERS; i++) {
		void *failed = NULL;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	recorder_stats(svc.recorder, &after);
	assert_int_equal(after.written - before.written, CALLERS * EACH);
	print_message("%d reads in %lld commits\n", CALLERS * EACH, (long long)(after.commits - before.commits));
	assert_true(after.commits - before.commits < CALLERS * EACH / 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(atoll(last_entry(&crowd[i].tenant)), CALLERS / 4 * EACH);
	/* Numbers of a writer have no gap. */
	assert_int_equal(testing_count("SELECT count(*) FROM (SELECT epoch, max(seq) m, count(*) n FROM "
				       "svc_test.audit_intent GROUP BY epoch) s WHERE m <> n"),
			 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_and_refusals_are_recorded),
	    cmocka_unit_test(changes_are_recorded_when_they_fail),
	    cmocka_unit_test(words_of_a_search_are_not_on_the_record),
	    cmocka_unit_test(forged_tokens_are_counted),
	    cmocka_unit_test(what_cannot_be_recorded_is_not_answered),
	    cmocka_unit_test(many_at_once_share_commits),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
