/* SPDX-License-Identifier: MIT
 *
 * SQL of what arrives: a batch of messages of one tenant costs two round trips, however many they are.
 */
#include "store.h"

#include "search_store.h"
#include "store_columns.h"

static const char SQL_MESSAGES[] =
    "INSERT INTO delivery.message (tenant, id, accepted_at, direction, mail_from, size, traceparent, eight_bit, "
    "smtputf8, "
    "account, account_name, client_ip, helo, protocol, tls, envid, ret, verdict, host) "
    "SELECT $1, u.* FROM unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::bytea[], $6::int8[], $7::text[], "
    "$8::bool[], $9::bool[], $10::uuid[], $11::bytea[], $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[], "
    "$16::bytea[], $17::text[], $18::bytea[], $19::bytea[]) AS u ON CONFLICT DO NOTHING RETURNING id, "
    "EXISTS (SELECT FROM delivery.setting s WHERE s.tenant = $1 AND s.uncertain = 'ask')";

static const char SQL_LEGS[] =
    "WITH u AS (SELECT * FROM unnest($2::uuid[], $3::int4[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], "
    "$8::timestamptz[], $9::bytea[], $10::text[], $11::bytea[], $12::timestamptz[], $13::text[], $14::int8[], "
    "$15::int8[], $16::int4[]) AS u(message, number, address, domain, state, cause, due_at, rule, notify, orcpt, "
    "wake_at, kind, version, epoch, attempts)), "
    "made AS (INSERT INTO delivery.leg (tenant, message, number, address, domain, state, cause, due_at, rule, notify, "
    "orcpt, version, epoch, attempts) SELECT $1, message, number, address, domain, state, cause, due_at, rule, notify, "
    "orcpt, version, epoch, attempts FROM u) "
    "INSERT INTO delivery.due (tenant, message, number, kind, due_at, lease_owner, lease_until) "
    "SELECT $1, message, number, kind, wake_at, CASE WHEN state = 'sending' THEN $17::uuid END, "
    "CASE WHEN state = 'sending' THEN $18::timestamptz ELSE '2000-01-01 00:00:00+00' END FROM u";

static const char SQL_HAS_LEASE[] = "SELECT lease_owner = $4 AND lease_until = $5 FROM delivery.due "
				    "WHERE tenant = $1 AND message = $2 AND number = $3";

static const char SQL_POISON[] = "INSERT INTO delivery.poison (tenant, id, payload, why, seen_at) "
				 "VALUES ($1, $2, $3, $4, now()) ON CONFLICT DO NOTHING";

const char *
store_direction_str(enum store_direction d)
{
	static const char *const names[] = {"outgoing", "incoming", "system"};
	return names[d];
}

/* An array of one member of every message, in arena a. */
#define COLUMN(type, expr)                                                                                             \
	({                                                                                                             \
		type *column_ = arena_new_array(a, type, n);                                                           \
		for (size_t i = 0; i < n; i++) {                                                                       \
			const struct store_message *m = &v[i].message;                                                 \
			column_[i] = (expr);                                                                           \
		}                                                                                                      \
		column_;                                                                                               \
	})

enum rc
store_arrive_messages(struct db_tx *tx, const struct uuid *tenant, struct store_arrival *v, size_t n, struct arena *a,
		      struct err *e)
{
	struct db_args p;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuids(&p, COLUMN(struct uuid, m->id), n);
	db_arg_times(&p, COLUMN(int64_t, m->accepted_us), n);
	db_arg_texts(&p, COLUMN(const char *, store_direction_str(m->direction)), n);
	db_arg_bytes_array(&p, COLUMN(struct bytes, store_full(m->mail_from)), n);
	db_arg_longs(&p, COLUMN(int64_t, (int64_t)m->size), n);
	db_arg_texts(&p, COLUMN(const char *, m->traceparent), n);
	db_arg_bools(&p, COLUMN(bool, m->eight_bit), n);
	db_arg_bools(&p, COLUMN(bool, m->smtputf8), n);
	db_arg_uuids(&p, COLUMN(struct uuid, m->account), n);
	db_arg_bytes_array(&p, COLUMN(struct bytes, store_full(m->account_name)), n);
	db_arg_bytes_array(&p, COLUMN(struct bytes, store_full(m->client_ip)), n);
	db_arg_bytes_array(&p, COLUMN(struct bytes, store_full(m->helo)), n);
	db_arg_bytes_array(&p, COLUMN(struct bytes, store_full(m->protocol)), n);
	db_arg_bytes_array(&p, COLUMN(struct bytes, store_full(m->tls)), n);
	db_arg_bytes_array(&p, COLUMN(struct bytes, store_full(m->envid)), n);
	db_arg_texts(&p, COLUMN(const char *, m->ret), n);
	db_arg_bytes_array(&p, COLUMN(struct bytes, store_full(m->verdict)), n);
	db_arg_bytes_array(&p, COLUMN(struct bytes, store_full(m->host)), n);
	struct db_rows *r = NULL;
	enum rc rc = db_query(tx, SQL_MESSAGES, &p, &r, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < n; i++)
		v[i].fresh = false;
	/* Nobody promises the order of RETURNING, though it is ours as a rule: looked up, beginning behind the last
	 * one. Twice the same id in a batch is fresh once. */
	for (size_t at = 0; db_rows_next(r);) {
		struct uuid id = db_uuid(r, 0);
		size_t tries = 0;
		while (tries < n && (v[at].fresh || !uuid_eq(&v[at].message.id, &id))) {
			at = (at + 1) % n;
			tries++;
		}
		if (tries < n) {
			v[at].fresh = true;
			v[at].ask_uncertain = db_bool(r, 1);
		}
	}
	db_rows_free(&r);
	return RC_OK;
}

struct leg_columns {
	struct uuid *message;
	int32_t *number;
	struct bytes *address, *domain, *rule, *orcpt;
	const char **state, **cause, **notify, **kind;
	int64_t *due, *wake, *version, *epoch;
	int32_t *attempts;
};

static void
columns_new(struct leg_columns *c, size_t n, struct arena *a)
{
	c->message = arena_new_array(a, struct uuid, n);
	c->number = arena_new_array(a, int32_t, n);
	c->address = arena_new_array(a, struct bytes, n);
	c->domain = arena_new_array(a, struct bytes, n);
	c->rule = arena_new_array(a, struct bytes, n);
	c->orcpt = arena_new_array(a, struct bytes, n);
	c->state = arena_new_array(a, const char *, n);
	c->cause = arena_new_array(a, const char *, n);
	c->notify = arena_new_array(a, const char *, n);
	c->kind = arena_new_array(a, const char *, n);
	c->due = arena_new_array(a, int64_t, n);
	c->wake = arena_new_array(a, int64_t, n);
	c->version = arena_new_array(a, int64_t, n);
	c->epoch = arena_new_array(a, int64_t, n);
	c->attempts = arena_new_array(a, int32_t, n);
}

static void
columns_set(struct leg_columns *c, size_t i, const struct store_message *m, const struct store_leg *l)
{
	c->message[i] = m->id;
	c->number[i] = l->number;
	c->address[i] = store_full(l->address);
	c->domain[i] = store_full(l->domain);
	c->rule[i] = store_full(l->rule);
	c->orcpt[i] = store_full(l->orcpt);
	c->state[i] = leg_state_str(l->state);
	c->cause[i] = l->cause;
	c->notify[i] = l->notify;
	c->due[i] = l->due_us;
	c->version[i] = l->version;
	c->epoch[i] = l->epoch;
	c->attempts[i] = l->attempts;
	switch (l->state) {
	case LEG_HELD:
		c->kind[i] = "hold";
		c->wake[i] = l->due_us != DB_TIME_NULL ? l->due_us : STORE_NEVER_US;
		break;
	case LEG_QUARANTINED:
		c->kind[i] = "quarantine";
		c->wake[i] = STORE_NEVER_US;
		break;
	default:
		c->kind[i] = "send";
		c->wake[i] = m->accepted_us;
		break;
	}
}

enum rc
store_arrive_legs(struct db_tx *tx, const struct uuid *tenant, const struct store_arrival *v, size_t n,
		  const struct uuid *owner, int64_t lease_us, struct arena *a, struct err *e)
{
	size_t legs = 0, k = 0;
	struct uuid *fresh = arena_new_array(a, struct uuid, n);
	size_t n_fresh = 0;
	enum rc rc = RC_OK;
	for (size_t i = 0; i < n; i++) {
		legs += v[i].fresh ? v[i].n_legs : 0;
		if (v[i].fresh)
			fresh[n_fresh++] = v[i].message.id;
	}
	if (n_fresh > 0)
		rc = search_store_arrived(tx, tenant, fresh, n_fresh, e);
	if (rc != RC_OK || legs == 0)
		return rc;
	struct leg_columns c;
	columns_new(&c, legs, a);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; v[i].fresh && j < v[i].n_legs; j++)
			columns_set(&c, k++, &v[i].message, &v[i].legs[j]);
	struct db_args p;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuids(&p, c.message, legs);
	db_arg_ints(&p, c.number, legs);
	db_arg_bytes_array(&p, c.address, legs);
	db_arg_bytes_array(&p, c.domain, legs);
	db_arg_texts(&p, c.state, legs);
	db_arg_texts(&p, c.cause, legs);
	db_arg_times(&p, c.due, legs);
	db_arg_bytes_array(&p, c.rule, legs);
	db_arg_texts(&p, c.notify, legs);
	db_arg_bytes_array(&p, c.orcpt, legs);
	db_arg_times(&p, c.wake, legs);
	db_arg_texts(&p, c.kind, legs);
	db_arg_longs(&p, c.version, legs);
	db_arg_longs(&p, c.epoch, legs);
	db_arg_ints(&p, c.attempts, legs);
	db_arg_uuid(&p, owner);
	db_arg_time(&p, lease_us);
	return db_exec(tx, SQL_LEGS, &p, e);
}

enum rc
store_has_lease(struct db_tx *tx, const struct uuid *tenant, const struct uuid *message, int32_t number,
		const struct uuid *owner, int64_t lease_us, bool *yes_r, struct err *e)
{
	struct db_args p;
	struct db_rows *r = NULL;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, message);
	db_arg_int(&p, number);
	db_arg_uuid(&p, owner);
	db_arg_time(&p, lease_us);
	enum rc rc = db_query(tx, SQL_HAS_LEASE, &p, &r, e);
	if (rc == RC_OK)
		*yes_r = db_rows_next(r) && !db_is_null(r, 0) && db_bool(r, 0);
	db_rows_free(&r);
	return rc;
}

enum rc
store_poison(struct db_tx *tx, const struct uuid *tenant, const struct uuid *id, struct bytes payload, const char *why,
	     struct err *e)
{
	struct db_args p;
	db_args_init(&p);
	db_arg_uuid(&p, tenant);
	db_arg_uuid(&p, id);
	db_arg_bytes(&p, store_full(payload));
	db_arg_text(&p, why);
	return db_exec(tx, SQL_POISON, &p, e);
}
