/* SPDX-License-Identifier: MIT
 *
 * From configuration to drain: the life of every service that has a bus. The main thread sleeps in sigwait(); all work
 * is on the threads of the bus, the consumers and the service's own.
 */
#include "svc/svc.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "svc/health.h"
#include "svc/record.h"
#include "svc/svc_internal.h"

#define DRAIN_MS       20000
#define READY_PING_MS  1000
#define PEOPLE_THREADS 4 /* per endpoint */

static volatile sig_atomic_t stopping;

/* Values of the variables every service has. */
static struct {
	const char *log_level, *nats_url, *nats_ca, *nkey, *db, *health, *actor_public, *kek;
	int64_t db_pool, threads;
} common;

struct running {
	const struct svc_program *program;
	struct svc svc;
	struct health *health;
	struct metric *const *tables[4];
	struct bound *bound;
	bool started;
};

/* --- metrics every service has ------------------------------------------------------------------------------ */
static struct running *the_one; /* for the collectors */

static void
collect_bus(struct metric *m)
{
	struct bus_stats s = {0};
	if (the_one == NULL || the_one->svc.bus == NULL)
		return;
	bus_stats(the_one->svc.bus, &s);
	const uint64_t v[] = {s.calls,	 s.calls_failed, s.served,    s.served_failed,
			      s.expired, s.undecodable,	 s.published, s.reconnects};
	for (int i = 0; i < 8; i++)
		metric_set(m, i, (int64_t)v[i]);
}

static const char *const bus_labels[] = {
    "calls", "calls_failed", "served", "served_failed", "expired", "undecodable", "published", "reconnects", NULL};
static struct metric bus_metric = {
    .name = "sekisho_bus_operations_total",
    .type = METRIC_COUNTER,
    .help = "What this service did on the bus.",
    .label = "operation",
    .values = bus_labels,
    .collect = collect_bus,
};
static struct metric *const own_metrics[] = {&bus_metric, NULL};

/* --- endpoints ------------------------------------------------------------------------------------------------ */
static const struct subject_rpc *
rule_of(const char *subject)
{
	const struct subject_rpc *p = subject_rpcs;
	while (p->subject != NULL && strcmp(p->subject, subject) != 0)
		p++;
	if (p->subject == NULL)
		abort(); /* not in the table: nobody may serve it */
	return p;
}

static enum rc
serve_all(struct running *r, struct err *e)
{
	size_t n = 0;
	for (const struct svc_endpoint *p = r->program->endpoints; p != NULL && p->subject != NULL; p++)
		n++;
	r->bound = calloc(n + 1, sizeof(*r->bound));
	if (r->bound == NULL)
		abort();
	for (size_t i = 0; i < n; i++) {
		const struct svc_endpoint *p = &r->program->endpoints[i];
		r->bound[i] = (struct bound){.svc = &r->svc, .endpoint = p, .rule = rule_of(p->subject)};
		/* What services ask of each other is the hot path; what people ask waits for its record. */
		int threads = r->bound[i].rule->permission == NULL ? (int)common.threads : PEOPLE_THREADS;
		enum rc rc = bus_serve(r->svc.bus, p->subject, threads, request_handle, &r->bound[i], e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* --- ready ---------------------------------------------------------------------------------------------------- */
static bool
is_ready(void *ctx, char *why, size_t size)
{
	struct running *r = ctx;
	struct err err;
	if (!r->started || stopping) {
		snprintf(why, size, stopping ? "stopping" : "starting");
		return false;
	}
	if (r->svc.bus != NULL && !bus_connected(r->svc.bus)) {
		snprintf(why, size, "bus: not connected");
		return false;
	}
	if (r->svc.db != NULL && db_ping(r->svc.db, clock_mono_ms() + READY_PING_MS, &err) != RC_OK) {
		snprintf(why, size, "%s", err.text);
		return false;
	}
	return r->program->ready == NULL || r->program->ready(&r->svc, why, size);
}

bool
svc_stopping(void)
{
	return stopping;
}

/* --- start and end -------------------------------------------------------------------------------------------- */
static enum rc
load_config(const struct svc_program *p, const struct config_entry *const **tables_r, struct err *e)
{
	static struct config_entry table[12];
	static char names[8][64];
	static const struct config_entry none[] = {CONFIG_END};
	static const struct config_entry *tables[3];
	const char *const own[] = {"NKEY", "DB", "DB_POOL", "HEALTH_LISTEN", "THREADS"};
	for (int i = 0; i < 5; i++)
		snprintf(names[i], sizeof(names[i]), "%s%s", p->prefix, own[i]);
	int n = 0;
	table[n++] = (struct config_entry){"SEKISHO_LOG_LEVEL",		CONFIG_STRING, &common.log_level, "info", 0, 0,
					   "debug, info, warn or error"};
	table[n++] = (struct config_entry){names[3],
					   CONFIG_STRING,
					   &common.health,
					   "",
					   0,
					   0,
					   "address:port of /healthz, /readyz, /metrics; empty: none"};
	table[n++] =
	    (struct config_entry){names[4], CONFIG_INT, &common.threads, "8", 1, 256, "threads per internal endpoint"};
	if (p->needs & SVC_BUS) {
		table[n++] = (struct config_entry){"SEKISHO_NATS_URL", CONFIG_STRING, &common.nats_url, NULL, 0, 0,
						   "nats://host:port"};
		table[n++] = (struct config_entry){"SEKISHO_NATS_CA",
						   CONFIG_PATH,
						   &common.nats_ca,
						   "",
						   0,
						   0,
						   "certificate authority of the bus; empty: no TLS"};
		table[n++] = (struct config_entry){
		    names[0], CONFIG_PATH, &common.nkey, NULL, 0, 0, "file with the service's nkey seed"};
	}
	if (p->needs & SVC_DB) {
		table[n++] = (struct config_entry){
		    names[1], CONFIG_STRING, &common.db, NULL, 0, 0, "libpq connection string of the service's role"};
		table[n++] =
		    (struct config_entry){names[2], CONFIG_INT, &common.db_pool, "16", 1, 200, "connections at most"};
	}
	if (p->needs & SVC_CONTENT)
		table[n++] = (struct config_entry){
		    "SEKISHO_KEK", CONFIG_PATH, &common.kek, NULL, 0, 0, "file with the key-encryption key"};
	if (p->needs & SVC_ACTORS)
		table[n++] = (struct config_entry){"SEKISHO_ACTOR_PUBLIC",
						   CONFIG_PATH,
						   &common.actor_public,
						   NULL,
						   0,
						   0,
						   "public key of actor tokens (PEM)"};
	table[n] = (struct config_entry)CONFIG_END;
	tables[0] = table;
	tables[1] = p->config != NULL ? p->config : none;
	*tables_r = tables;
	enum rc rc = config_load(tables, p->prefix, e);
	enum log_level level = LOG_LEVEL_INFO;
	if (rc == RC_OK && log_level_parse(common.log_level, &level) != RC_OK)
		rc = err_set(e, RC_INVALID, "SEKISHO_LOG_LEVEL: \"%.20s\" is none of debug, info, warn, error",
			     common.log_level);
	if (rc == RC_OK)
		log_init(p->name, level);
	return rc;
}

static enum rc
open_parts(struct running *r, struct err *e)
{
	const struct svc_program *p = r->program;
	struct svc *s = &r->svc;
	enum rc rc = health_open(common.health, r->tables, is_ready, r, &r->health, e);
	if (rc == RC_OK && (p->needs & SVC_DB)) {
		struct db_options o = {.conninfo = common.db,
				       .size = (int)common.db_pool,
				       .intent_sql = p->intent_sql,
				       .settings = p->db_settings};
		rc = db_pool_new(&o, &s->db, e);
		if (rc == RC_OK && p->intent_sql != NULL)
			s->recorder = recorder_new(s->db);
	}
	if (rc == RC_OK && (p->needs & SVC_CONTENT))
		rc = content_open(common.kek, s->db, &s->content, e);
	if (rc == RC_OK && (p->needs & SVC_ACTORS))
		rc = actor_verifier_open(common.actor_public, &s->actors, e);
	if (rc == RC_OK && (p->needs & SVC_BUS)) {
		struct bus_options o = {.url = common.nats_url,
					.service = p->name,
					.nkey_seed_path = common.nkey,
					.ca_path = common.nats_ca};
		rc = bus_open(&o, &s->bus, e);
	}
	return rc;
}

static void
close_parts(struct running *r)
{
	/* The health listener stays until the end: it says "stopping". */
	if (!bus_stop_serving(r->svc.bus, DRAIN_MS)) {
		/* It holds the pool, the content and whatever the service has: nothing is taken from under it. What it
		 * did is committed or is not, as when a process is killed. */
		log_error("ends with a request at work", LOG_INT("waited_ms", DRAIN_MS));
		_exit(1);
	}
	if (r->started && r->program->done != NULL)
		r->program->done(&r->svc);
	bus_close(&r->svc.bus);
	health_close(&r->health);
	recorder_free(&r->svc.recorder);
	actor_verifier_free(&r->svc.actors);
	content_free(&r->svc.content);
	db_pool_free(&r->svc.db);
	free(r->bound);
	r->bound = NULL;
}

int
svc_main(const struct svc_program *p, int argc, char **argv)
{
	static struct running r;
	struct err err = {.file = __FILE__};
	const struct config_entry *const *tables;
	bool check = argc == 2 && strcmp(argv[1], "--check-config") == 0;
	bool print = argc == 2 && strcmp(argv[1], "--print-config") == 0;
	if (argc > 1 && !check && !print) {
		fprintf(stderr, "usage: sekisho-%s [--check-config | --print-config]\n", p->name);
		return 64;
	}
	if (load_config(p, &tables, &err) != RC_OK) {
		fprintf(stderr, "sekisho-%s: %s\n", p->name, err.text);
		return CONFIG_EXIT;
	}
	if (print)
		config_print(tables, stdout);
	if (check || print)
		return 0;

	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread: only sigwait() sees them */
	signal(SIGPIPE, SIG_IGN);

	r.program = p;
	r.svc.name = p->name;
	r.svc.threads = common.threads;
	r.svc.once_sql = p->once_sql;
	r.tables[0] = own_metrics;
	r.tables[1] = request_metrics;
	r.tables[2] = p->metrics;
	the_one = &r;
	enum rc rc = open_parts(&r, &err);
	if (rc == RC_OK && p->init != NULL)
		rc = p->init(&r.svc, &err);
	if (rc == RC_OK)
		rc = serve_all(&r, &err);
	if (rc != RC_OK) {
		log_error("cannot start", LOG_RC(rc), LOG_ERR(&err));
		close_parts(&r);
		return rc == RC_INVALID ? CONFIG_EXIT : 1;
	}
	r.started = true;
	log_info("started");
	int sig = 0;
	sigwait(&set, &sig);
	stopping = 1;
	log_info("stopping", LOG_STR("signal", sig == SIGTERM ? "TERM" : "INT"));
	close_parts(&r);
	log_info("stopped");
	return 0;
}
