/* SPDX-License-Identifier: MIT
 *
 * The pool: connections are opened when needed, reused last in first out, and thrown away when the server is gone.
 */
#include "db/db_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "db/pool_internal.h"

/* Statements are few, by key, and run for years: planning one anew costs more than running it. */
#define SETTINGS "-c plan_cache_mode=force_generic_plan -c jit=off"

/* What the session is started with: ours, the service's, the operator's. */
static char *
make_options(const PQconninfoOption *parsed, const char *settings)
{
	const char *operators = getenv("PGOPTIONS");
	for (const PQconninfoOption *o = parsed; o->keyword != NULL; o++)
		if (strcmp(o->keyword, "options") == 0 && o->val != NULL)
			operators = o->val;
	char *out = NULL;
	if (asprintf(&out, "%s %s %s", SETTINGS, settings != NULL ? settings : "", operators != NULL ? operators : "") <
	    0)
		abort();
	return out;
}

enum rc
db_pool_new(const struct db_options *o, struct db_pool **out_r, struct err *e)
{
	char *problem = NULL;
	PQconninfoOption *parsed = PQconninfoParse(o->conninfo, &problem);
	if (parsed == NULL) {
		enum rc rc =
		    err_set(e, RC_INVALID, "connection string: %s", problem != NULL ? problem : "out of memory");
		PQfreemem(problem);
		return rc;
	}
	struct db_pool *p = calloc(1, sizeof(*p));
	if (p == NULL || (p->conninfo = strdup(o->conninfo)) == NULL)
		abort();
	p->options = make_options(parsed, o->settings);
	PQconninfoFree(parsed);
	p->size = o->size > 0 ? o->size : 1;
	p->intent_sql = o->intent_sql;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_t ca;
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&p->freed, &ca);
	pthread_condattr_destroy(&ca);
	*out_r = p;
	return RC_OK;
}

static void
conn_close(struct db_conn **cp)
{
	struct db_conn *c = *cp;
	struct db_stmt *s, *tmp;
	HASH_ITER(hh, c->stmts, s, tmp)
	{
		HASH_DEL(c->stmts, s);
		free(s);
	}
	PQfinish(c->pg);
	free(c);
	*cp = NULL;
}

void
db_pool_free(struct db_pool **pp)
{
	if (pp == NULL || *pp == NULL)
		return;
	struct db_pool *p = *pp;
	while (p->idle != NULL) {
		struct db_conn *c = p->idle;
		p->idle = c->next;
		conn_close(&c);
	}
	pthread_cond_destroy(&p->freed);
	pthread_mutex_destroy(&p->lock);
	free(p->conninfo);
	free(p->options);
	free(p);
	*pp = NULL;
}

static void
on_notice(void *arg, const PGresult *res)
{
	struct db_conn *c = arg;
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	/* A commit whose wait for synchronous replication was cancelled says COMMIT, with this warning. */
	if (state != NULL && strcmp(state, "01000") == 0)
		c->warned = true;
}

static enum rc
conn_open(struct db_pool *p, int64_t deadline_ms, struct db_conn **out_r, struct err *e)
{
	/* "dbname" is expanded as a connection string; what stands behind it wins. */
	const char *const keywords[] = {"dbname", "options", NULL}, *const values[] = {p->conninfo, p->options, NULL};
	PGconn *pg = PQconnectStartParams(keywords, values, 1);
	if (pg == NULL)
		abort();
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;
	while (PQstatus(pg) != CONNECTION_BAD && want != PGRES_POLLING_OK && want != PGRES_POLLING_FAILED) {
		struct pollfd f = {.fd = PQsocket(pg), .events = want == PGRES_POLLING_READING ? POLLIN : POLLOUT};
		int n = poll(&f, 1, (int)clock_left_ms(deadline_ms));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		want = PQconnectPoll(pg);
	}
	if (want != PGRES_POLLING_OK || PQstatus(pg) != CONNECTION_OK) {
		const char *text = PQerrorMessage(pg);
		enum rc rc = err_set(e, RC_RETRY, "database: %.*s", (int)strcspn(text, "\n"), text);
		PQfinish(pg);
		return rc;
	}
	struct db_conn *c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	c->pg = pg;
	c->epoch = uuid_v7(clock_wall_us());
	PQsetNoticeReceiver(pg, on_notice, c);
	if (PQsetnonblocking(pg, 1) != 0 || PQenterPipelineMode(pg) != 1) {
		conn_close(&c);
		return err_set(e, RC_RETRY, "database: no pipeline mode");
	}
	*out_r = c;
	return RC_OK;
}

/* An idle connection has nothing to say; if it has, the server is saying goodbye. */
static bool
conn_alive(struct db_conn *c)
{
	struct pollfd f = {.fd = PQsocket(c->pg), .events = POLLIN};
	if (poll(&f, 1, 0) == 0)
		return true;
	return (f.revents & (POLLHUP | POLLERR)) == 0 && PQconsumeInput(c->pg) == 1 && PQstatus(c->pg) == CONNECTION_OK;
}

enum rc
pool_take(struct db_pool *p, int64_t deadline_ms, struct db_conn **out_r, struct err *e)
{
	struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->idle != NULL) {
			struct db_conn *c = p->idle;
			p->idle = c->next;
			if (c->generation == p->generation && conn_alive(c)) {
				pthread_mutex_unlock(&p->lock);
				*out_r = c;
				return RC_OK;
			}
			conn_close(&c);
			p->open--;
		}
		if (p->open < p->size)
			break;
		if (pthread_cond_timedwait(&p->freed, &p->lock, &until) == ETIMEDOUT) {
			pthread_mutex_unlock(&p->lock);
			return err_set(e, RC_RETRY, "database: all %d connections are busy", p->size);
		}
	}
	p->open++;
	uint64_t generation = p->generation;
	pthread_mutex_unlock(&p->lock);
	struct db_conn *c = NULL;
	enum rc rc = conn_open(p, deadline_ms, &c, e);
	if (rc != RC_OK) {
		pthread_mutex_lock(&p->lock);
		p->open--;
		pthread_cond_signal(&p->freed);
		pthread_mutex_unlock(&p->lock);
		return rc;
	}
	c->generation = generation;
	*out_r = c;
	return RC_OK;
}

void
pool_give(struct db_pool *p, struct db_conn *c, bool broken)
{
	pthread_mutex_lock(&p->lock);
	if (broken) {
		/* A lost connection means a lost server as a rule: idle ones are not trusted either. One that only
		 * ran out of time says nothing about the others. */
		if (PQstatus(c->pg) == CONNECTION_BAD)
			p->generation++;
		p->open--;
	} else {
		c->next = p->idle;
		p->idle = c;
	}
	pthread_cond_signal(&p->freed);
	pthread_mutex_unlock(&p->lock);
	if (broken)
		conn_close(&c);
}
