/* SPDX-License-Identifier: MIT
 *
 * The road against a real nats-server (started here, on loopback) and, for the outbox, a real database
 * (tools/with-postgres.sh). Two users: "ingest" produces and calls, "delivery" serves and consumes.
 */
#include "bus/bus.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "bus/consumer.h"
#include "bus/outbox.h"
#include "bus/stream.h"
#include "core/clock.h"

static char dir[] = "/tmp/sekisho-bus-test.XXXXXX";
static pid_t nats = -1;
static int port;
static struct bus *ingest, *delivery;
static struct db_pool *pool;

/* --- nkeys ---------------------------------------------------------------------------------------------- */
static void
base32(const uint8_t *in, size_t n, char *out)
{
	static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint32_t acc = 0;
	int bits = 0;
	for (size_t i = 0; i < n; i++) {
		acc = acc << 8 | in[i];
		for (bits += 8; bits >= 5; bits -= 5)
			*out++ = abc[acc >> (bits - 5) & 31];
	}
	if (bits > 0)
		*out++ = abc[acc << (5 - bits) & 31];
	*out = 0;
}

static size_t
with_crc16(uint8_t *p, size_t n)
{
	uint16_t crc = 0;
	for (size_t i = 0; i < n; i++) {
		crc ^= (uint16_t)(p[i] << 8);
		for (int k = 0; k < 8; k++)
			crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
	}
	p[n] = (uint8_t)crc;
	p[n + 1] = (uint8_t)(crc >> 8);
	return n + 2;
}

static void
write_file(const char *name, const char *suffix, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, 0600);
}

static void
make_nkey(const char *name, char *public_out)
{
	uint8_t seed[40] = {0x90 | 0xa0 >> 5, (0xa0 & 31) << 3}, pub[40] = {0xa0}, sk[64];
	char text[80];
	randombytes_buf(seed + 2, 32);
	crypto_sign_seed_keypair(pub + 1, sk, seed + 2);
	base32(seed, with_crc16(seed, 34), text);
	write_file(name, ".seed", text);
	base32(pub, with_crc16(pub, 33), public_out);
	write_file(name, ".pub", public_out);
}

/* --- the server ------------------------------------------------------------------------------------------ */
static void
pause_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

#define WAIT_UNTIL(condition)                                                                                          \
	do {                                                                                                           \
		int64_t until_ = clock_mono_ms() + 20000;                                                              \
		while (!(condition) && clock_mono_ms() < until_)                                                       \
			pause_ms(5);                                                                                   \
		assert_true(condition);                                                                                \
	} while (0)

static void
start_nats(void)
{
	char conf[256], log[256];
	snprintf(conf, sizeof(conf), "%s/nats.conf", dir);
	snprintf(log, sizeof(log), "%s/nats.log", dir);
	nats = fork();
	if (nats == 0) {
		execlp("nats-server", "nats-server", "-c", conf, "-l", log, (char *)NULL);
		_exit(127);
	}
}

static void
stop_nats(void)
{
	kill(nats, SIGKILL);
	waitpid(nats, NULL, 0);
}

static struct bus *
open_as(const char *name)
{
	char url[64], seed[256];
	struct bus *b = NULL;
	struct err e = {0};
	snprintf(url, sizeof(url), "nats://127.0.0.1:%d", port);
	snprintf(seed, sizeof(seed), "%s/%s.seed", dir, name);
	struct bus_options o = {.url = url, .service = name, .nkey_seed_path = seed};
	if (bus_open(&o, &b, &e) != RC_OK)
		fail_msg("%s", e.text);
	return b;
}

static int
setup(void **state)
{
	char a[80], b[80], conf[2048];
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	if (sodium_init() < 0 || mkdtemp(dir) == NULL || conninfo == NULL) {
		fprintf(stderr, "needs SEKISHO_TEST_DB: run by tools/with-postgres.sh\n");
		return 1;
	}
	make_nkey("ingest", a);
	make_nkey("delivery", b);
	port = 20000 + (int)(getpid() % 20000);
	snprintf(
	    conf, sizeof(conf),
	    "listen: 127.0.0.1:%d\nmax_payload: 8MB\njetstream { store_dir: \"%s/js\" }\n"
	    "accounts { T { jetstream: enabled, users: [ {nkey: %s}, {nkey: %s} ] }, SYS {} }\nsystem_account: SYS\n",
	    port, dir, a, b);
	write_file("nats", ".conf", conf);
	ingest = open_as("ingest"); /* before the server is there */
	start_nats();
	delivery = open_as("delivery");
	WAIT_UNTIL(bus_connected(ingest) && bus_connected(delivery));
	struct err e = {0};
	struct db_options o = {.conninfo = conninfo, .size = 4};
	struct db_tx *tx = NULL;
	if (db_pool_new(&o, &pool, &e) != RC_OK || db_begin(pool, NULL, clock_mono_ms() + 5000, &tx, &e) != RC_OK)
		return 1;
	assert_int_equal(db_exec(tx, "CREATE SCHEMA bus_test", NULL, &e), RC_OK);
	assert_int_equal(db_exec(tx,
				 "CREATE TABLE bus_test.outbox (id uuid, tenant uuid, consumer text, attempts int4, "
				 "next_at timestamptz, PRIMARY KEY (id, consumer))",
				 NULL, &e),
			 RC_OK);
	assert_int_equal(db_commit(&tx, &e), RC_OK);
	return 0;
}

static int
teardown(void **state)
{
	bus_close(&ingest);
	bus_close(&delivery);
	db_pool_free(&pool);
	stop_nats();
	char cmd[300];
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) == 0 ? 0 : 1;
}

static struct bus_stats
stats_of(const struct bus *b)
{
	struct bus_stats s;
	bus_stats(b, &s);
	return s;
}

/* --- rpc ------------------------------------------------------------------------------------------------- */
static enum rc
serve_echo(void *ctx, const struct bus_incoming *in, struct buf *reply, struct err *e)
{
	char t[UUID_STR_SIZE];
	uuid_format(&in->tenant, t);
	if (bytes_eq(in->payload, bytes_str("deny")))
		return err_set(e, RC_DENIED, "not you");
	if (bytes_eq(in->payload, bytes_str("slow")))
		pause_ms(400);
	if (bytes_eq(in->payload, bytes_str("key"))) {
		buf_addf(reply, "<%s> from %s", in->idempotency_key, in->caller);
		return RC_OK;
	}
	buf_addf(reply, "%s %.32s ", t, in->traceparent + 3);
	buf_add_bytes(reply, in->actor_token);
	buf_add_bytes(reply, in->payload);
	return RC_OK;
}

static enum rc
call(const char *payload, int ms, struct arena *a, struct bytes *reply, struct err *e)
{
	static struct uuid tenant = {{1, 2, 3}};
	struct bus_request r = {
	    .subject = "rpc.v1.test.echo",
	    .tenant = &tenant,
	    .traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
	    .actor_token = bytes_of("\0tok\xff", 5),
	    .payload = bytes_str(payload),
	    .deadline_ms = clock_mono_ms() + ms,
	};
	return bus_call(ingest, &r, a, reply, e);
}

static void
rpc_round_trip(void **state)
{
	struct arena *a = arena_new();
	struct bytes reply;
	struct err e = {0};
	assert_int_equal(call("x", 2000, a, &reply, &e), RC_RETRY); /* nobody serves */
	assert_non_null(strstr(e.text, "nobody serves"));
	assert_int_equal(bus_serve(delivery, "rpc.v1.test.echo", 3, serve_echo, NULL, &e), RC_OK);
	WAIT_UNTIL(call("hello", 2000, a, &reply, &e) == RC_OK);
	static const char want[] =
	    "01020300-0000-0000-0000-000000000000 0123456789abcdef0123456789abcdef \0tok\xffhello";
	assert_true(bytes_eq(reply, bytes_of(want, sizeof(want) - 1)));
	assert_int_equal(call("deny", 2000, a, &reply, &e), RC_DENIED);
	assert_string_equal(e.text, "not you");
	assert_int_equal(call("key", 2000, a, &reply, &e), RC_OK);
	assert_true(bytes_eq(reply, bytes_str("<> from ingest")));
	uint64_t served = stats_of(delivery).served;
	assert_int_equal(call("slow", 100, a, &reply, &e), RC_RETRY);
	WAIT_UNTIL(stats_of(delivery).served > served); /* nobody waits for it any more, and it ends */
	assert_int_equal(call("", 2000, a, &reply, &e), RC_OK);
	assert_int_equal(call("x", 0, a, &reply, &e), RC_RETRY);
	arena_free(&a);
}

static void
keys_travel(void **state)
{
	char longest[BUS_KEY_MAX + 2];
	memset(longest, 'k', sizeof(longest));
	longest[BUS_KEY_MAX] = '\0';
	const struct {
		const char *key;
		enum rc rc;
	} rows[] = {{NULL, RC_OK},	 {"", RC_OK},	      {"3f-!~", RC_OK},	    {longest, RC_OK},
		    {"a b", RC_INVALID}, {"a\n", RC_INVALID}, {"\x7f", RC_INVALID}, {"\xc3\xa9", RC_INVALID}};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bus_request r = {.subject = "rpc.v1.test.echo",
					.idempotency_key = rows[i].key,
					.payload = bytes_str("key"),
					.deadline_ms = clock_mono_ms() + 2000};
		struct bytes reply;
		struct err e = {0};
		assert_int_equal(bus_call(ingest, &r, a, &reply, &e), rows[i].rc);
		const char *want = arena_printf(a, "<%s> from ingest", rows[i].key != NULL ? rows[i].key : "");
		assert_true(rows[i].rc != RC_OK || bytes_eq(reply, bytes_str(want)));
	}
	longest[BUS_KEY_MAX] = 'k';
	assert_false(bus_key_valid(bytes_of(longest, BUS_KEY_MAX + 1)));
	arena_free(&a);
}

/* --- calls that share messages ----------------------------------------------------------------------------- */
#define CALLERS	   48
#define CALLS_EACH 40
#define SHARED	   "rpc.v1.test.shared"

static _Atomic int entered, gate_shut;
static pthread_barrier_t start;
static const uint8_t megabyte[1 << 20];

static enum rc
serve_shared(void *ctx, const struct bus_incoming *in, struct buf *reply, struct err *e)
{
	atomic_fetch_add(&entered, 1);
	WAIT_UNTIL(atomic_load(&gate_shut) == 0);
	if (in->payload.n > 0 && in->payload.p[0] == 'd')
		return err_set(e, RC_DENIED, "denied %.*s", (int)in->payload.n, (const char *)in->payload.p);
	if (bytes_eq(in->payload, bytes_str("huge")))
		for (int i = 0; i < 9; i++)
			buf_add(reply, megabyte, sizeof(megabyte));
	buf_add(reply, in->tenant.b, sizeof(in->tenant.b));
	buf_add_bytes(reply, in->actor_token);
	buf_add_bytes(reply, in->payload);
	return RC_OK;
}

/* The answer must be to this caller's own question, tenant and token. */
static enum rc
ask_shared(uint8_t who, struct bytes payload, int ms, struct arena *a, struct err *e)
{
	struct uuid tenant = {{who, 7}};
	char token[16];
	snprintf(token, sizeof(token), "token-%d", who);
	struct bus_request r = {
	    .subject = SHARED,
	    .tenant = &tenant,
	    .actor_token = bytes_str(token),
	    .payload = payload,
	    .deadline_ms = clock_mono_ms() + ms,
	    .may_share = true,
	};
	struct bytes reply;
	enum rc rc = bus_call(ingest, &r, a, &reply, e);
	if (rc != RC_OK)
		return rc;
	size_t n = strlen(token);
	bool own = reply.n == 16 + n + payload.n && memcmp(reply.p, tenant.b, 16) == 0 &&
		   memcmp(reply.p + 16, token, n) == 0 && bytes_eq(bytes_of(reply.p + 16 + n, payload.n), payload);
	return own ? RC_OK : RC_CONFLICT;
}

static void *
many_calls(void *arg)
{
	uint8_t who = (uint8_t)(uintptr_t)arg;
	struct arena *a = arena_new();
	uintptr_t wrong = 0;
	char text[64], want[96];
	pthread_barrier_wait(&start);
	for (int i = 0; i < CALLS_EACH; i++) {
		struct err e = {0};
		bool denied = i % 3 == 0;
		snprintf(text, sizeof(text), "%c %d %d", denied ? 'd' : 'q', who, i);
		snprintf(want, sizeof(want), "denied %s", text);
		enum rc rc = ask_shared(who, bytes_str(text), 20000, a, &e);
		wrong += denied ? rc != RC_DENIED || strcmp(e.text, want) != 0 : rc != RC_OK;
	}
	arena_free(&a);
	return (void *)wrong;
}

static void *
one_call(void *arg)
{
	uint8_t who = (uint8_t)(uintptr_t)arg;
	struct arena *a = arena_new();
	struct err e = {0};
	pthread_barrier_wait(&start);
	/* Even ones have no patience, the first one neither. */
	enum rc rc = ask_shared(who, bytes_str("q"), who % 2 == 0 ? 300 : 20000, a, &e);
	arena_free(&a);
	return (void *)(uintptr_t)rc;
}

static void
calls_share_messages(void **state)
{
	pthread_t threads[CALLERS];
	struct err e = {0};
	struct arena *a = arena_new();
	assert_int_equal(bus_serve(delivery, SHARED, 2, serve_shared, NULL, &e), RC_OK);
	WAIT_UNTIL(ask_shared(1, bytes_str("q"), 2000, a, &e) == RC_OK);

	/* Alone: a message each, without waiting for company. */
	struct bus_stats before = stats_of(ingest);
	int64_t fastest_us = INT64_MAX;
	for (int i = 0; i < 1000; i++) {
		int64_t began = clock_wall_us();
		assert_int_equal(ask_shared(1, bytes_str("q"), 20000, a, &e), RC_OK);
		int64_t took = clock_wall_us() - began;
		fastest_us = took < fastest_us ? took : fastest_us;
	}
	assert_int_equal(stats_of(ingest).requests - before.requests, 1000);
	assert_true(fastest_us < 500);

	/* Many: fewer messages than calls, and everybody gets the answer to his own question. */
	before = stats_of(ingest);
	pthread_barrier_init(&start, NULL, CALLERS);
	for (uintptr_t i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many_calls, (void *)(i + 1)), 0);
	for (int i = 0; i < CALLERS; i++) {
		void *wrong;
		pthread_join(threads[i], &wrong);
		assert_ptr_equal(wrong, NULL);
	}
	struct bus_stats after = stats_of(ingest);
	assert_int_equal(after.calls - before.calls, CALLERS * CALLS_EACH);
	assert_true(after.requests - before.requests < CALLERS * CALLS_EACH / 2);
	print_message("%d calls in %d messages\n", CALLERS * CALLS_EACH, (int)(after.requests - before.requests));
	arena_free(&a);
}

static void
callers_give_up_one_by_one(void **state)
{
	pthread_t threads[CALLERS];
	void *rc[CALLERS];
	atomic_store(&entered, 0);
	atomic_store(&gate_shut, 1);
	struct bus_stats before = stats_of(delivery);
	for (uintptr_t i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, one_call, (void *)i), 0);
	for (int i = 0; i < CALLERS; i += 2) /* they leave while their batch is being handled or waits */
		pthread_join(threads[i], &rc[i]);
	assert_true(atomic_load(&entered) > 0);
	atomic_store(&gate_shut, 0);
	for (int i = 1; i < CALLERS; i += 2)
		pthread_join(threads[i], &rc[i]);
	for (int i = 0; i < CALLERS; i++)
		assert_int_equal((uintptr_t)rc[i], i % 2 == 0 ? RC_RETRY : RC_OK);
	/* Those whose time was over before their turn were not handled. */
	WAIT_UNTIL(stats_of(delivery).expired - before.expired + stats_of(delivery).served - before.served == CALLERS);
	assert_true(stats_of(delivery).expired > before.expired);
}

static void
calls_have_bounds(void **state)
{
	struct arena *a = arena_new();
	struct err e = {0};
	uint8_t *big = calloc(1, BUS_PAYLOAD_MAX);
	assert_non_null(big);
	assert_int_equal(ask_shared(1, bytes_of(big, BUS_PAYLOAD_MAX), 20000, a, &e), RC_LIMIT);
	assert_int_equal(ask_shared(1, bytes_of(big, 6 << 20), 20000, a, &e), RC_OK);
	assert_int_equal(ask_shared(1, bytes_str("huge"), 20000, a, &e), RC_LIMIT);
	uint64_t before = stats_of(delivery).undecodable;
	assert_int_equal(bus_publish(ingest, SHARED, bytes_str("\x0a\x7f never as long as that"), &e), RC_OK);
	WAIT_UNTIL(stats_of(delivery).undecodable == before + 1);
	free(big);
	arena_free(&a);
}

static void
calls_end_when_the_road_does(void **state)
{
	pthread_t threads[CALLERS];
	void *rc;
	struct arena *a = arena_new();
	struct err e = {0};
	atomic_store(&entered, 0);
	atomic_store(&gate_shut, 1);
	for (uintptr_t i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, one_call, (void *)(i * 2)), 0);
	WAIT_UNTIL(atomic_load(&entered) > 0);
	stop_nats();
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(threads[i], &rc);
		assert_int_equal((uintptr_t)rc, RC_RETRY);
	}
	atomic_store(&gate_shut, 0);
	start_nats();
	WAIT_UNTIL(ask_shared(1, bytes_str("q"), 2000, a, &e) == RC_OK);
	WAIT_UNTIL(bus_connected(ingest) && bus_connected(delivery));
	arena_free(&a);
}

/* --- outbox and consumer --------------------------------------------------------------------------------- */
static _Atomic int handled[1000], poisoned, fail_first;
static struct outbox *outbox;
static struct uuid the_tenant = {{9, 9}};

static struct uuid
event_id(int i)
{
	struct uuid u = {{0x55, (uint8_t)(i >> 8), (uint8_t)i}};
	return u;
}

static enum rc
on_events(void *ctx, const struct uuid *tenant, const struct bus_item *items, size_t n, struct arena *a, struct err *e)
{
	assert_true(uuid_eq(tenant, &the_tenant));
	if (atomic_load(&fail_first) > 0) {
		atomic_fetch_sub(&fail_first, 1);
		return err_set(e, RC_RETRY, "database away");
	}
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(items[i].payload, bytes_str("poison")))
			return err_set(e, RC_INVALID, "poison");
	for (size_t i = 0; i < n; i++)
		atomic_fetch_add(&handled[items[i].id.b[1] << 8 | items[i].id.b[2]], 1);
	return RC_OK;
}

static enum rc
on_poison(void *ctx, const struct uuid *tenant, const struct bus_item *item, const struct err *why, struct err *e)
{
	atomic_fetch_add(&poisoned, 1);
	return RC_OK;
}

static enum rc
load(void *ctx, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n, struct outbox_emit *to,
     struct err *e)
{
	for (size_t i = 0; i < n; i++)
		outbox_emit(to, &ids[i], bytes_str("again"));
	return RC_OK;
}

static void
commit_event(int i, const char *payload, bool publish)
{
	struct db_tx *tx = NULL;
	struct err e = {0};
	struct uuid id = event_id(i);
	assert_int_equal(db_begin(pool, NULL, clock_mono_ms() + 5000, &tx, &e), RC_OK);
	assert_int_equal(outbox_add(outbox, tx, &the_tenant, &id, &e), RC_OK);
	if (db_commit(&tx, &e) != RC_OK)
		fail_msg("%s", e.text);
	if (publish)
		outbox_publish(outbox, &the_tenant, &id, bytes_str(payload));
}

static int64_t
outbox_depth(void)
{
	struct db_tx *tx = NULL;
	struct db_rows *r = NULL;
	struct err e = {0};
	assert_int_equal(db_begin(pool, NULL, clock_mono_ms() + 5000, &tx, &e), RC_OK);
	assert_int_equal(db_query(tx, OUTBOX_SQL_DEPTH("bus_test"), NULL, &r, &e), RC_OK);
	assert_true(db_rows_next(r));
	int64_t n = db_int(r, 0);
	db_rows_free(&r);
	db_end(&tx);
	return n;
}

static bool
make_stream(void)
{
	bool made = false;
	struct err e = {0};
	enum rc rc = stream_assert(delivery, "MAIL", (const char *const[]){"evt.v1.mail.accepted.*", NULL},
				   (const char *const[]){"delivery", NULL}, 3600000, 64 << 20, 1, &made, &e);
	if (rc != RC_OK && rc != RC_RETRY)
		fail_msg("%s", e.text);
	return rc == RC_OK;
}

static void
events_are_confirmed(void **state)
{
	struct err e = {0};
	struct consumer *c = NULL;
	struct consumer_options co = {
	    .deliver_subject = "deliver.delivery.MAIL",
	    .ack_subject = "ack.v1.ingest",
	    .threads = 2,
	    .batch_max = 50,
	    .handle = on_events,
	    .poison = on_poison,
	};
	static const char *const consumers[] = {"delivery", NULL};
	struct outbox_options oo = {
	    .subject = "evt.v1.mail.accepted",
	    .ack_subject = "ack.v1.ingest",
	    .consumers = consumers,
	    .stream_made_subject = "sig.v1.keeper.stream_made",
	    .sql_insert = OUTBOX_SQL_INSERT("bus_test"),
	    .sql_due = OUTBOX_SQL_DUE("bus_test"),
	    .sql_confirm = OUTBOX_SQL_CONFIRM("bus_test"),
	    .sql_hasten = OUTBOX_SQL_HASTEN("bus_test"),
	    .sql_depth = OUTBOX_SQL_DEPTH("bus_test"),
	    .load = load,
	};
	assert_int_equal(outbox_open(ingest, pool, &oo, &outbox, &e), RC_OK);
	assert_true(make_stream());
	assert_true(make_stream()); /* asserting again changes nothing */
	assert_int_equal(consumer_open(delivery, &co, &c, &e), RC_OK);
	for (int i = 0; i < 300; i++)
		commit_event(i, i == 150 ? "poison" : "ok", true);
	WAIT_UNTIL(outbox_depth() == 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(atomic_load(&handled[i]) > 0, i != 150);
	assert_int_equal(atomic_load(&poisoned), 1);

	/* A handler that fails for a while gets them again. */
	atomic_store(&fail_first, 3);
	for (int i = 300; i < 310; i++)
		commit_event(i, "ok", true);
	WAIT_UNTIL(outbox_depth() == 0);
	for (int i = 300; i < 310; i++)
		assert_true(atomic_load(&handled[i]) > 0);

	/* The server dies with its streams in the middle: nothing is lost. */
	stop_nats();
	for (int i = 400; i < 420; i++)
		commit_event(i, "ok", true);
	assert_int_equal(outbox_depth(), 20);
	start_nats();
	WAIT_UNTIL(make_stream());
	WAIT_UNTIL(outbox_depth() == 0);
	for (int i = 400; i < 420; i++)
		assert_true(atomic_load(&handled[i]) > 0);

	struct arena *a = arena_new();
	struct stream_info info;
	assert_int_equal(stream_describe(delivery, "MAIL", a, &info, &e), RC_OK);
	assert_int_equal(info.n_consumers, 1);
	assert_string_equal(info.consumers[0].name, "delivery");
	arena_free(&a);
	consumer_close(&c);
	outbox_close(&outbox);
}

/* --- the end --------------------------------------------------------------------------------------------- */
static _Atomic bool stuck_began, let_go;

static enum rc
serve_stuck(void *ctx, const struct bus_incoming *in, struct buf *reply, struct err *e)
{
	atomic_store(&stuck_began, true);
	while (!atomic_load(&let_go))
		pause_ms(5);
	buf_add_str(reply, "at last");
	return RC_OK;
}

static struct bus *never_freed; /* the leak is meant */

/* Whoever stops is told that a handler is still at work, and nothing is freed under it. */
static void
a_hanging_handler_is_told(void **state)
{
	struct arena *a = arena_new();
	struct bytes reply;
	struct err e = {0};
	struct bus *b = never_freed = open_as("delivery");
	WAIT_UNTIL(bus_connected(b));
	assert_int_equal(bus_serve(b, "rpc.v1.test.stuck", 1, serve_stuck, NULL, &e), RC_OK);
	struct bus_request r = {.subject = "rpc.v1.test.stuck", .payload = bytes_str("x")};
	for (int i = 0; i < 50 && !atomic_load(&stuck_began); i++) {
		r.deadline_ms = clock_mono_ms() + 200;
		assert_int_equal(bus_call(ingest, &r, a, &reply, &e), RC_RETRY);
	}
	WAIT_UNTIL(atomic_load(&stuck_began));
	assert_false(bus_stop_serving(b, 0));
	assert_false(bus_stop_serving(b, 0)); /* for good */
	bus_close(&b);
	assert_null(b);
	atomic_store(&let_go, true);
	WAIT_UNTIL(stats_of(never_freed).served > 0);
	arena_free(&a);
	/* A bus whose handlers ended says so. */
	b = open_as("delivery");
	assert_int_equal(bus_serve(b, "rpc.v1.test.idle", 2, serve_echo, NULL, &e), RC_OK);
	assert_true(bus_stop_serving(b, 2000));
	bus_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rpc_round_trip),	    cmocka_unit_test(keys_travel),
	    cmocka_unit_test(calls_share_messages), cmocka_unit_test(callers_give_up_one_by_one),
	    cmocka_unit_test(calls_have_bounds),    cmocka_unit_test(calls_end_when_the_road_does),
	    cmocka_unit_test(events_are_confirmed), cmocka_unit_test(a_hanging_handler_is_told),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
