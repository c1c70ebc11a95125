/* SPDX-License-Identifier: MIT
 *
 * What the rooms of this service share: a request as a handler sees it, the answer it fills, and the one table of
 * operations that drives the routing (operations.c; docs/openapi.yaml describes the same table to the world). Handlers
 * run on worker threads, one request each; everything a request allocates ends with its arena.
 */
#ifndef API_API_H
#define API_API_H

#include <jansson.h>

#include "client/auth_client.h"
#include "core/arena.h"
#include "core/bytes.h"
#include "svc/svc.h"

/* Set up once in main.c, read-only afterwards. */
struct api {
	struct svc *svc;
	const char *ingest_socket;
	int64_t rpc_ms, submit_ms; /* how long we wait for a service, and for ingest's 250 */
	int64_t body_max;	   /* octets of a submission */
	struct limit *by_key;	   /* requests of each API key */
	struct limit *by_address;  /* refused keys from each address */
	struct events *events;	   /* streams of events that are open */
	struct exports *exports;   /* exports under way */
};

enum api_method { API_GET, API_POST, API_PUT, API_DELETE };
const char *api_method_str(enum api_method m);

enum api_body {
	API_BODY_NONE,
	API_BODY_JSON,
	API_BODY_JSON_OPTIONAL,
	API_BODY_MESSAGE, /* application/json or message/rfc822, up to api.body_max */
};
#define API_JSON_MAX (1024u * 1024) /* octets of a JSON body that is no submission */
/* Values of one JSON body: what they take when parsed has little to do with its octets. */
#define API_VALUES_MAX	       10000 /* a group has up to 5000 logins */
#define API_MESSAGE_VALUES_MAX 20000 /* four lists of 1000 addresses, each an object of two strings */
#define API_RULES_VALUES_MAX   50000

/* What else an operation takes and gives; docs/openapi.yaml says the same of each. */
enum api_flags {
	API_ONCE = 1,	  /* Idempotency-Key */
	API_IF_MATCH = 2, /* If-Match: the version that is to be changed */
	API_IF_NEW = 4,	  /* If-None-Match: *, only if there is none yet */
	API_REPEATS = 8,  /* query parameters may be given again */
	API_MAIL = 16,	  /* answers message/rfc822, not JSON */
	API_LINES = 32,	  /* answers application/jsonl or text/csv, as long as it takes */
	API_EVENTS = 64,  /* answers text/event-stream, as long as the client stays */
	API_SLOW = 256,	  /* waits for what a stranger's server answers */
	API_RULES = 128,  /* the body is a rule set, which has long lists */
};

struct api_pair {
	const char *name, *value;
};

struct api_operation;
struct api_request {
	struct arena *arena;
	const struct api_operation *op;
	const char *path;	/* as sent */
	const char *param;	/* what stands for the {...} of the path, decoded; "" if
				   there is none */
	struct api_pair *query; /* decoded; names are all known to the operation */
	size_t n_query;
	const char *content_type; /* "": none. Headers are "" when absent */
	const char *content_encoding;
	const char *authorization, *idempotency_key, *if_match, *if_none_match, *accept, *last_event_id;
	const char *sender, *recipients;
	const char *client_ip;	/* as the gateway says; "" if it does not */
	const char *request_id; /* ours or the caller's, safe to print */
	const char *traceparent;
	struct bytes body;
	json_t *json;		       /* API_BODY_JSON: the document. API_BODY_MESSAGE: NULL when the
					  body is raw MIME */
	bool verified;		       /* the key was good: holder is filled */
	int64_t verified_ms;	       /* monotonic, when auth was asked: tokens live 60 s from then */
	bool counted;		       /* a token of the key's bucket was asked for */
	struct auth_key_holder holder; /* operations that need a key */
	const char *key;	       /* as presented; it was looked at already */
	int64_t deadline_ms;	       /* monotonic, for rpcs */
};

#define API_HEADERS_MAX 12
struct api_response {
	int status; /* 0: nothing was said yet */
	const char *content_type;
	struct buf body;
	struct pipe *pipe; /* instead of body: what comes while it comes (pipe.h) */
	const char *etag;  /* with quotes; NULL: made from the body; "": none */
	struct api_pair headers[API_HEADERS_MAX];
	size_t n_headers;
};
/* Both strings must outlive the request (arena or static). */
void api_response_header(struct api_response *w, const char *name, const char *value);

/* RC_OK: the response was filled (with a result, or a problem of its own words). Else the skeleton turns rc and e into
 * a problem. */
typedef enum rc (*api_run)(const struct api *api, struct api_request *r, struct api_response *w, struct err *e);

struct api_operation {
	const char *id; /* operationId */
	enum api_method method;
	const char *path; /* at most one {name}, which is a whole segment */
	enum api_body body;
	unsigned flags;		      /* enum api_flags */
	const char *const *audiences; /* services that get an actor token; NULL: no key needed */
	const char *const *query;     /* NULL-terminated names; NULL: none */
	api_run run;
	/* May this key at all? As soon as the key is known, before a body is taken. False: a problem was written. NULL:
	 * the service that does the work says. */
	bool (*admit)(const struct api *api, struct api_request *r, struct api_response *w);
};
extern const struct api_operation api_operations[]; /* id NULL at the end */

enum api_route { API_ROUTE_FOUND, API_ROUTE_NO_PATH, API_ROUTE_NO_METHOD };
#define API_ALLOW_SIZE 48
/* path as sent, still percent-encoded; HEAD is routed as GET. A segment without braces wins over one with. *param_r in
 * a. NO_METHOD fills allow ("GET, HEAD, PUT"). */
enum api_route api_route(const char *method, const char *path, struct arena *a, const struct api_operation **op_r,
			 const char **param_r, char allow[API_ALLOW_SIZE]);
/* %XX undone, strictly: NULL for broken hex, for NUL and for what is not UTF-8 afterwards. */
const char *api_percent_decode(struct arena *a, const char *s);

/* First value of a query parameter, NULL if absent. */
const char *api_query(const struct api_request *r, const char *name);
/* The actor token for one of the operation's audiences. */
struct bytes api_token(const struct api_request *r, const char *audience);
/* Is there anything that could be a key, where one is needed? Else a 401 was written; nobody's body is taken then. */
bool api_key_presented(const struct api *api, struct api_request *r, struct api_response *w) MUST_CHECK;
/* Asks auth about the key, on a worker: before a body is taken, else as the first step of api_execute(). False: a
 * problem was written (401, 429, 503). */
bool api_verify(const struct api *api, struct api_request *r, struct api_response *w) MUST_CHECK;
/* The same key again, as long answers must: new tokens. Looks at op, key, client_ip, request_id, traceparent of r. */
enum rc api_verify_again(const struct api *api, const struct api_request *r, struct arena *a,
			 struct auth_key_holder *out_r, struct err *e) MUST_CHECK;
/* Everything from the complete request to the filled response: key, query, JSON, handler, conditions, problem. */
void api_execute(const struct api *api, struct api_request *r, struct api_response *w);
/* RateLimit and RateLimit-Policy, of the key or else of the address; for every answer, after all else. */
void api_rate_headers(const struct api *api, struct api_request *r, struct api_response *w);

#endif
