/* SPDX-License-Identifier: MIT
 *
 * Three threads: the publisher sends what was just committed, batched by tenant; the reconciler sends again what is
 * unconfirmed for too long; the confirmer deletes confirmed rows in batches. Confirmations arrive on a thread of the
 * bus and are only queued there.
 */
#include "bus/outbox.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"
#include "proto/bus.pb-c.h"

#define QUEUE_MAX	   20000 /* events in memory; more is left to the reconciler */
#define BATCH_ITEMS	   200
#define BATCH_OCTETS	   (1u << 20)
#define LINGER_US	   30000 /* what it costs a mail in time, a batch saves in statements of the consumer */
#define RECONCILE_EVERY_MS 1000
#define DUE_MAX		   1000
#define CONFIRM_MAX	   2000
#define DB_MS		   10000

struct entry {
	struct uuid tenant, id;
	struct bytes payload; /* owned */
};
struct entries {
	struct entry *v;
	size_t n, cap;
};
struct outbox_emit {
	struct outbox *o;
	struct uuid tenant;
	size_t n;
};

struct confirm {
	char consumer[32];
	struct uuid *ids;
	size_t n;
	struct confirm *next;
};

struct outbox {
	struct bus *bus;
	struct db_pool *pool;
	struct outbox_options opt;
	pthread_mutex_t lock;
	pthread_cond_t work;	/* publisher */
	pthread_cond_t confirm; /* confirmer */
	pthread_cond_t hurry;	/* reconciler */
	struct entries queue;
	struct confirm *confirms, **confirms_tail;
	size_t n_confirms;
	bool stopping, hasten;
	pthread_t threads[3];
	int n_threads;
	struct outbox *next_retired;
	_Atomic uint64_t published, republished, confirmed;
};

/* --- publishing ------------------------------------------------------------------------------------------- */
static void
entries_add(struct entries *q, const struct entry *x)
{
	if (q->n == q->cap) {
		q->cap = q->cap != 0 ? q->cap * 2 : 64;
		q->v = realloc(q->v, q->cap * sizeof(*q->v));
		if (q->v == NULL)
			abort();
	}
	q->v[q->n++] = *x;
}

static void
entries_done(struct entries *q)
{
	for (size_t i = 0; i < q->n; i++)
		free((void *)q->v[i].payload.p);
	free(q->v);
	*q = (struct entries){0};
}

static int
by_tenant(const void *a, const void *b)
{
	return memcmp(((const struct entry *)a)->tenant.b, ((const struct entry *)b)->tenant.b, 16);
}

static void
publish_batch(struct outbox *o, const struct entry *v, size_t n)
{
	Sekisho__Bus__Item *items = calloc(n, sizeof(*items));
	Sekisho__Bus__Item **pointers = calloc(n, sizeof(*pointers));
	if (items == NULL || pointers == NULL)
		abort();
	for (size_t i = 0; i < n; i++) {
		sekisho__bus__item__init(&items[i]);
		items[i].id = (ProtobufCBinaryData){16, (uint8_t *)v[i].id.b};
		items[i].payload = (ProtobufCBinaryData){v[i].payload.n, (uint8_t *)v[i].payload.p};
		pointers[i] = &items[i];
	}
	Sekisho__Bus__Batch batch = SEKISHO__BUS__BATCH__INIT;
	batch.n_items = n;
	batch.items = pointers;
	size_t size = sekisho__bus__batch__get_packed_size(&batch);
	uint8_t *packed = malloc(size);
	if (packed == NULL)
		abort();
	sekisho__bus__batch__pack(&batch, packed);
	char subject[128], tenant[UUID_STR_SIZE];
	uuid_format(&v[0].tenant, tenant);
	snprintf(subject, sizeof(subject), "%s.%s", o->opt.subject, tenant);
	struct err err;
	/* A failure is no news: the reconciler sends it again. */
	if (bus_publish(o->bus, subject, bytes_of(packed, size), &err) == RC_OK)
		atomic_fetch_add(&o->published, n);
	free(packed);
	free(items);
	free(pointers);
}

static void
publish_all(struct outbox *o, struct entries *q)
{
	if (q->n > 1)
		qsort(q->v, q->n, sizeof(*q->v), by_tenant);
	for (size_t i = 0; i < q->n;) {
		size_t k = i, octets = 0;
		while (k < q->n && k - i < BATCH_ITEMS && octets < BATCH_OCTETS &&
		       uuid_eq(&q->v[k].tenant, &q->v[i].tenant))
			octets += q->v[k++].payload.n;
		publish_batch(o, q->v + i, k - i);
		i = k;
	}
}

static void *
publisher_run(void *arg)
{
	struct outbox *o = arg;
	for (;;) {
		pthread_mutex_lock(&o->lock);
		while (o->queue.n == 0 && !o->stopping)
			pthread_cond_wait(&o->work, &o->lock);
		bool stop = o->stopping;
		pthread_mutex_unlock(&o->lock);
		if (!stop) /* let a batch gather: the bus costs by the message */
			nanosleep(&(struct timespec){.tv_nsec = LINGER_US * 1000}, NULL);
		pthread_mutex_lock(&o->lock);
		struct entries q = o->queue;
		o->queue = (struct entries){0};
		pthread_mutex_unlock(&o->lock);
		publish_all(o, &q);
		entries_done(&q);
		if (stop)
			return NULL;
	}
}

void
outbox_publish(struct outbox *o, const struct uuid *tenant, const struct uuid *id, struct bytes payload)
{
	uint8_t *copy = malloc(payload.n > 0 ? payload.n : 1);
	if (copy == NULL)
		abort();
	if (payload.n > 0)
		memcpy(copy, payload.p, payload.n);
	struct entry x = {.tenant = *tenant, .id = *id, .payload = bytes_of(copy, payload.n)};
	pthread_mutex_lock(&o->lock);
	bool full = o->queue.n >= QUEUE_MAX || o->stopping;
	if (!full)
		entries_add(&o->queue, &x);
	pthread_cond_signal(&o->work);
	pthread_mutex_unlock(&o->lock);
	if (full)
		free(copy);
}

enum rc
outbox_add(struct outbox *o, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, struct err *e)
{
	size_t n = 0;
	while (o->opt.consumers[n] != NULL)
		n++;
	struct db_args a;
	db_args_init(&a);
	db_arg_uuid(&a, id);
	db_arg_uuid(&a, tenant);
	db_arg_texts(&a, o->opt.consumers, n);
	return db_exec(tx, o->opt.sql_insert, &a, e);
}

/* --- reconciling ------------------------------------------------------------------------------------------ */
void
outbox_emit(struct outbox_emit *to, const struct uuid *id, struct bytes payload)
{
	outbox_publish(to->o, &to->tenant, id, payload);
	to->n++;
}

static enum rc
take_due(struct outbox *o, struct entries *due, struct err *e)
{
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	enum rc rc = db_begin(o->pool, NULL, clock_mono_ms() + DB_MS, &tx, e);
	if (rc != RC_OK)
		return rc;
	struct db_args a;
	db_args_init(&a);
	db_arg_int(&a, DUE_MAX);
	rc = db_query(tx, o->opt.sql_due, &a, &rows, e);
	while (rc == RC_OK && db_rows_next(rows)) {
		struct entry x = {.id = db_uuid(rows, 0), .tenant = db_uuid(rows, 1)};
		entries_add(due, &x);
	}
	db_rows_free(&rows);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

static enum rc
emit_tenant(struct outbox *o, const struct entry *v, size_t n, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(o->pool, &v[0].tenant, clock_mono_ms() + DB_MS, &tx, e);
	if (rc != RC_OK)
		return rc;
	struct uuid *ids = calloc(n, sizeof(*ids));
	if (ids == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		ids[i] = v[i].id;
	struct outbox_emit emit = {.o = o, .tenant = v[0].tenant};
	rc = o->opt.load(o->opt.ctx, tx, &v[0].tenant, ids, n, &emit, e);
	free(ids);
	db_end(&tx);
	if (rc != RC_OK)
		return rc;
	atomic_fetch_add(&o->republished, emit.n);
	if (emit.n < n)
		log_error("outbox rows without their event", LOG_TENANT(&v[0].tenant), LOG_INT("count", n - emit.n));
	return RC_OK;
}

static enum rc
hasten_all(struct outbox *o, struct err *e)
{
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(o->pool, NULL, clock_mono_ms() + DB_MS, &tx, e);
	if (rc != RC_OK)
		return rc;
	rc = db_exec(tx, o->opt.sql_hasten, NULL, e);
	if (rc == RC_OK)
		return db_commit(&tx, e);
	db_end(&tx);
	return rc;
}

static enum rc
reconcile(struct outbox *o, bool hasten, struct err *e)
{
	enum rc rc = hasten ? hasten_all(o, e) : RC_OK;
	size_t taken = DUE_MAX;
	while (rc == RC_OK && taken == DUE_MAX && bus_connected(o->bus)) {
		struct entries due = {0};
		rc = take_due(o, &due, e);
		taken = due.n;
		if (due.n > 1)
			qsort(due.v, due.n, sizeof(*due.v), by_tenant);
		for (size_t i = 0; rc == RC_OK && i < due.n;) {
			size_t k = i;
			while (k < due.n && uuid_eq(&due.v[k].tenant, &due.v[i].tenant))
				k++;
			rc = emit_tenant(o, due.v + i, k - i, e);
			i = k;
		}
		entries_done(&due);
	}
	return rc;
}

static void *
reconciler_run(void *arg)
{
	struct outbox *o = arg;
	struct bus_stats seen, now;
	bus_stats(o->bus, &seen);
	bool hasten = false;
	for (;;) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += RECONCILE_EVERY_MS / 1000;
		pthread_mutex_lock(&o->lock);
		if (!o->stopping && !o->hasten)
			pthread_cond_timedwait(&o->hurry, &o->lock, &until);
		bool stop = o->stopping;
		hasten |= o->hasten;
		o->hasten = false;
		pthread_mutex_unlock(&o->lock);
		if (stop)
			return NULL;
		bus_stats(o->bus, &now);
		hasten |= now.reconnects != seen.reconnects;
		if (!bus_connected(o->bus))
			continue;
		struct err err;
		if (reconcile(o, hasten, &err) == RC_OK) {
			hasten = false;
			seen = now;
		} else {
			log_warn("outbox not reconciled", LOG_ERR(&err));
		}
	}
}

static void
on_stream_made(void *ctx, const char *subject, struct bytes payload)
{
	struct outbox *o = ctx;
	pthread_mutex_lock(&o->lock);
	o->hasten = true;
	pthread_cond_signal(&o->hurry);
	pthread_mutex_unlock(&o->lock);
}

/* --- confirmations ---------------------------------------------------------------------------------------- */
static void
on_confirm(void *ctx, const char *subject, struct bytes payload)
{
	struct outbox *o = ctx;
	Sekisho__Bus__Confirm *c =
	    payload.n <= (1u << 20) ? sekisho__bus__confirm__unpack(NULL, payload.n, payload.p) : NULL;
	struct confirm *x = calloc(1, sizeof(*x));
	if (x == NULL)
		abort();
	bool good = c != NULL && c->n_ids > 0 && strlen(c->consumer) < sizeof(x->consumer);
	if (good) {
		snprintf(x->consumer, sizeof(x->consumer), "%s", c->consumer);
		x->ids = calloc(c->n_ids, sizeof(*x->ids));
		if (x->ids == NULL)
			abort();
		for (size_t i = 0; i < c->n_ids; i++)
			if (c->ids[i].len == 16)
				memcpy(x->ids[x->n++].b, c->ids[i].data, 16);
	}
	if (c != NULL)
		sekisho__bus__confirm__free_unpacked(c, NULL);
	if (!good) {
		free(x);
		log_warn("confirmation that does not decode");
		return;
	}
	pthread_mutex_lock(&o->lock);
	*o->confirms_tail = x;
	o->confirms_tail = &x->next;
	o->n_confirms += x->n;
	pthread_cond_signal(&o->confirm);
	pthread_mutex_unlock(&o->lock);
}

static void
confirm_batch(struct outbox *o, const char *consumer, const struct uuid *ids, size_t n)
{
	struct err err;
	struct db_tx *tx = NULL;
	enum rc rc = db_begin(o->pool, NULL, clock_mono_ms() + DB_MS, &tx, &err);
	if (rc == RC_OK) {
		struct db_args a;
		db_args_init(&a);
		db_arg_text(&a, consumer);
		db_arg_uuids(&a, ids, n);
		rc = db_exec(tx, o->opt.sql_confirm, &a, &err);
	}
	if (rc == RC_OK)
		rc = db_commit(&tx, &err);
	db_end(&tx);
	if (rc == RC_OK)
		atomic_fetch_add(&o->confirmed, n);
	else /* the event is sent again and confirmed again */
		log_warn("outbox rows not confirmed", LOG_ERR(&err));
}

static void *
confirmer_run(void *arg)
{
	struct outbox *o = arg;
	for (;;) {
		pthread_mutex_lock(&o->lock);
		while (o->confirms == NULL && !o->stopping)
			pthread_cond_wait(&o->confirm, &o->lock);
		bool stop = o->stopping;
		pthread_mutex_unlock(&o->lock);
		if (!stop)
			nanosleep(&(struct timespec){.tv_nsec = 2 * LINGER_US * 1000}, NULL);
		pthread_mutex_lock(&o->lock);
		struct confirm *list = o->confirms;
		o->confirms = NULL;
		o->confirms_tail = &o->confirms;
		o->n_confirms = 0;
		pthread_mutex_unlock(&o->lock);
		struct uuid ids[CONFIRM_MAX];
		while (list != NULL) { /* as many of one consumer as fit into one statement */
			size_t n = 0;
			char consumer[sizeof(list->consumer)];
			memcpy(consumer, list->consumer, sizeof(consumer));
			while (list != NULL && strcmp(list->consumer, consumer) == 0 && n < CONFIRM_MAX) {
				size_t k = list->n < CONFIRM_MAX - n ? list->n : CONFIRM_MAX - n;
				memcpy(ids + n, list->ids + list->n - k, k * sizeof(*ids));
				n += k;
				list->n -= k;
				if (list->n > 0)
					break;
				struct confirm *done = list;
				list = list->next;
				free(done->ids);
				free(done);
			}
			if (n > 0)
				confirm_batch(o, consumer, ids, n);
		}
		if (stop)
			return NULL;
	}
}

/* --- life ------------------------------------------------------------------------------------------------- */
enum rc
outbox_open(struct bus *b, struct db_pool *p, const struct outbox_options *opt, struct outbox **out_r, struct err *e)
{
	struct outbox *o = calloc(1, sizeof(*o));
	if (o == NULL)
		abort();
	o->bus = b;
	o->pool = p;
	o->opt = *opt;
	o->confirms_tail = &o->confirms;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->work, NULL);
	pthread_cond_init(&o->confirm, NULL);
	pthread_cond_init(&o->hurry, NULL);
	enum rc rc = bus_listen(b, opt->ack_subject, bus_service(b), on_confirm, o, e);
	if (rc == RC_OK)
		rc = bus_listen(b, opt->stream_made_subject, NULL, on_stream_made, o, e);
	void *(*const run[])(void *) = {publisher_run, reconciler_run, confirmer_run};
	for (int i = 0; rc == RC_OK && i < 3; i++) {
		if (pthread_create(&o->threads[i], NULL, run[i], o) != 0)
			rc = err_set(e, RC_INTERNAL, "no thread could be started");
		else
			o->n_threads++;
	}
	if (rc != RC_OK)
		return rc; /* listeners keep a pointer to it: o lives as long as the bus; the service ends now */
	*out_r = o;
	return RC_OK;
}

/* Ends the threads; the struct itself stays until the end of the process, because listeners of the bus may still point
 * to it until bus_close(). */
static struct outbox *retired;

void
outbox_close(struct outbox **op)
{
	if (op == NULL || *op == NULL)
		return;
	struct outbox *o = *op;
	pthread_mutex_lock(&o->lock);
	o->stopping = true;
	pthread_cond_signal(&o->work);
	pthread_cond_signal(&o->confirm);
	pthread_cond_signal(&o->hurry);
	pthread_mutex_unlock(&o->lock);
	for (int i = 0; i < o->n_threads; i++)
		pthread_join(o->threads[i], NULL);
	entries_done(&o->queue);
	o->next_retired = retired;
	retired = o;
	*op = NULL;
}

void
outbox_stats(const struct outbox *o, struct outbox_stats *out_r)
{
	*out_r = (struct outbox_stats){
	    .published = atomic_load(&o->published),
	    .republished = atomic_load(&o->republished),
	    .confirmed = atomic_load(&o->confirmed),
	};
}
