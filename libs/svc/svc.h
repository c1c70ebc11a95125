/* SPDX-License-Identifier: MIT
 *
 * The skeleton of a service. main.c hands over tables (configuration, rpc endpoints, metrics) and three functions;
 * svc_main() does the rest: configuration (--check-config, --print-config, exit 78), log, database pool, bus, health
 * listener, endpoints, SIGTERM -> drain -> done. Whatever is not there at the start is waited for, not fatal.
 *
 * Common variables: SEKISHO_CONFIG, SEKISHO_LOG_LEVEL, SEKISHO_NATS_URL, SEKISHO_NATS_CA, and with the service's prefix
 * SEKISHO_<SERVICE>_: NKEY (seed file), DB (conninfo), DB_POOL, HEALTH_LISTEN, THREADS; SEKISHO_ACTOR_PUBLIC (PEM),
 * SEKISHO_KEK (key-encryption key file) where the service asks for them by a flag.
 */
#ifndef SVC_SVC_H
#define SVC_SVC_H

#include "bus/bus.h"
#include "content/content.h"
#include "core/config.h"
#include "crypt/actor.h"
#include "db/db.h"
#include "svc/metrics.h"

struct recorder;
struct svc_once_sql;

/* What the skeleton owns and lends. */
struct svc {
	const char *name;
	struct db_pool *db;	       /* NULL without SVC_DB */
	struct bus *bus;	       /* NULL without SVC_BUS */
	struct content *content;       /* NULL without SVC_CONTENT */
	struct actor_verifier *actors; /* NULL without SVC_ACTORS */
	struct recorder *recorder;     /* svc/record.h; NULL: nothing is recorded (no database) */
	const struct svc_once_sql *once_sql;
	int64_t threads; /* SEKISHO_<SERVICE>_THREADS */
};

enum svc_needs { SVC_DB = 1, SVC_BUS = 2, SVC_CONTENT = 4, SVC_ACTORS = 8 };

struct svc_request {
	struct svc *svc;
	const struct bus_incoming *in; /* payload, tenant, traceparent, deadline, arena */
	const struct actor *actor;     /* verified; NULL where the table of subjects asks for no permission */
	struct svc_note *note;	       /* what the record will say of it: svc_record_...() below */
};
/* Who may call it, with which permission, and whether a read is recorded stand in proto/subjects.tsv; the skeleton
 * enforces that before the handler sees the request. */
struct svc_endpoint {
	const char *subject; /* RPC_... */
	/* Decode, call the domain, store, encode into reply. */
	enum rc (*handle)(const struct svc_request *r, struct buf *reply, struct err *e);
};
#define SVC_ENDPOINTS_END                                                                                              \
	{                                                                                                              \
		.subject = NULL                                                                                        \
	}

/* For the record of a read or of a failed change, which the skeleton writes (libs/svc/request.c); no-ops where nothing
 * is recorded. Both are for what the request itself does not say: without them the subject is the id that was asked
 * for, or the tenant, and the detail is made from the request (libs/svc/asked.c). detail: a JSON object of what was
 * asked for, never words of a search or a secret; copied. */
void svc_record_subject(const struct svc_request *r, const struct uuid *subject);
void svc_record_detail(const struct svc_request *r, struct bytes detail);
/* A change that succeeds and changes nothing has no intent of its own: say so, and it is recorded like a read. What was
 * asked for and answered is on the record then, too. */
void svc_record_unchanged(const struct svc_request *r);

/* Who acted, as every intent says it: the account's id; a key without a person: its name. */
const char *svc_actor_text(const struct actor *actor, struct arena *a);

struct svc_program {
	const char *name;		     /* "ingest" */
	const char *prefix;		     /* "SEKISHO_INGEST_" */
	unsigned needs;			     /* enum svc_needs */
	const char *intent_sql;		     /* DB_INTENT_SQL("ingest") or NULL */
	const char *db_settings;	     /* struct db_options.settings or NULL */
	const struct svc_once_sql *once_sql; /* svc/once.h; NULL: no operation has idempotency keys */
	const struct config_entry *config;
	const struct svc_endpoint *endpoints; /* may be NULL */
	struct metric *const *metrics;	      /* NULL-terminated; may be NULL */
	/* Set up, start own threads; false return ends the program. Endpoints are served after it. */
	enum rc (*init)(struct svc *s, struct err *e);
	/* Beyond database, bus: anything else that must be there; may be NULL. */
	bool (*ready)(struct svc *s, char *why, size_t size);
	/* SIGTERM: stop taking work, finish what is under way (the rpc endpoints have stopped already); may be NULL. */
	void (*done)(struct svc *s);
};

int svc_main(const struct svc_program *p, int argc, char **argv);
/* True from SIGTERM on. */
bool svc_stopping(void);

#endif
