/* SPDX-License-Identifier: MIT
 *
 * api: the HTTP face. REST/JSON on a Unix socket behind the gateway; no domain logic, no database.
 */
#include <string.h>

#include "api.h"
#include "events.h"
#include "export.h"
#include "http.h"
#include "limit.h"

#define EXPORT_SLOW_MS	  60000
#define EXPORT_LEAST_RATE (64 * 1024)

static const char *socket_path, *ingest_socket;
static int64_t body_max, bodies_max, rpc_ms, submit_ms, idle_ms, queue_max;
static int64_t key_burst, key_rate, failure_burst, failure_rate, streams_max, tenant_streams, exports_max,
    tenant_exports;

static const struct config_entry config[] = {
    {"SEKISHO_API_SOCKET", CONFIG_STRING, &socket_path, NULL, 0, 0, "Unix socket on which the gateway reaches us"},
    {"SEKISHO_API_INGEST_SOCKET", CONFIG_STRING, &ingest_socket, NULL, 0, 0, "Unix socket of ingest's internal SMTP"},
    {"SEKISHO_API_BODY_MAX", CONFIG_SIZE, &body_max, "50M", 1024, 1LL << 30, "octets of one submission"},
    {"SEKISHO_API_BODIES_MAX", CONFIG_SIZE, &bodies_max, "256M", 1024, 1LL << 36, "octets of all bodies held at once"},
    {"SEKISHO_API_RPC_TIMEOUT", CONFIG_DURATION, &rpc_ms, "10s", 100, 60000, "how long a service may take to answer"},
    {"SEKISHO_API_SUBMIT_TIMEOUT", CONFIG_DURATION, &submit_ms, "75s", 1000, 600000,
     "how long ingest may take from connection to 250"},
    {"SEKISHO_API_IDLE_TIMEOUT", CONFIG_DURATION, &idle_ms, "30s", 1000, 600000,
     "a connection on which nothing moves is closed after"},
    {"SEKISHO_API_QUEUE", CONFIG_INT, &queue_max, "256", 1, 65536, "requests that may wait for a thread"},
    {"SEKISHO_API_BURST", CONFIG_INT, &key_burst, "10000", 0, 1000000000,
     "requests that an API key may make at once; 0: no limit"},
    {"SEKISHO_API_RATE", CONFIG_INT, &key_rate, "1000", 1, 1000000000, "and every second, in the long run"},
    {"SEKISHO_API_FAILURE_BURST", CONFIG_INT, &failure_burst, "3000", 0, 1000000000,
     "wrong keys that an address may show at once; 0: no limit"},
    {"SEKISHO_API_FAILURE_RATE", CONFIG_INT, &failure_rate, "50", 1, 1000000000, "and every second, in the long run"},
    {"SEKISHO_API_STREAMS", CONFIG_INT, &streams_max, "256", 1, 900, "streams of events that may be open"},
    {"SEKISHO_API_STREAMS_TENANT", CONFIG_INT, &tenant_streams, "32", 1, 900, "of one tenant"},
    {"SEKISHO_API_EXPORTS", CONFIG_INT, &exports_max, "8", 1, EXPORTS_MAX,
     "exports of the record that may be under way"},
    {"SEKISHO_API_EXPORTS_TENANT", CONFIG_INT, &tenant_exports, "2", 1, EXPORTS_MAX, "of one tenant"},
    CONFIG_END,
};

static const char *const classes[] = {"2xx", "4xx", "5xx", NULL}; /* 304 counts as 2xx */
static struct metric requests = {"sekisho_api_requests_total", METRIC_COUNTER, "requests answered, by class of status",
				 "class", classes};
static struct metric seconds = {"sekisho_api_request_seconds", METRIC_HISTOGRAM, "from the whole header to the answer"};
static struct metric refused = {"sekisho_api_refused_total", METRIC_COUNTER,
				"connections refused before they were requests "
				"(framing, header size, overload)"};
static struct metric streams = {"sekisho_api_event_streams", METRIC_GAUGE, "streams of events that are open"};
static struct metric sent = {"sekisho_api_events_sent_total", METRIC_COUNTER, "events given to streams"};
static struct metric *const metrics[] = {&requests, &seconds, &refused, &streams, &sent, NULL};

static struct api api;
static struct http *http;

/* After which an empty bucket is full again. */
static int64_t
window_s(int64_t burst, int64_t rate)
{
	return burst > rate ? burst / rate : 1;
}

static enum rc
init(struct svc *s, struct err *e)
{
	api = (struct api){
	    .svc = s,
	    .ingest_socket = ingest_socket,
	    .rpc_ms = rpc_ms,
	    .submit_ms = submit_ms,
	    .body_max = body_max,
	    .by_key = limit_new(key_burst, window_s(key_burst, key_rate)),
	    .by_address = limit_new(failure_burst, window_s(failure_burst, failure_rate)),
	};
	struct events_options eo = {
	    .streams_max = (int)streams_max, .tenant_max = (int)tenant_streams, .open = &streams, .sent = &sent};
	enum rc rc = events_open(&eo, &api, &api.events, e);
	if (rc != RC_OK)
		return rc;
	struct exports_options xo = {.max = (int)exports_max,
				     .tenant_max = (int)tenant_exports,
				     .slow_ms = EXPORT_SLOW_MS,
				     .least_rate = EXPORT_LEAST_RATE};
	api.exports = exports_new(&api, &xo);
	struct http_options o = {
	    .socket = socket_path,
	    .threads = s->threads < 2 ? 2 : (int)s->threads,
	    .queue = (int)queue_max,
	    .bodies_max = bodies_max,
	    .idle_ms = idle_ms,
	};
	struct http_metrics m = {&requests, &seconds, &refused};
	return http_open(&o, &api, &m, &http, e);
}

static void
done(struct svc *s)
{
	http_close(&http);
	events_close(&api.events);
	exports_free(&api.exports);
	limit_free(&api.by_key);
	limit_free(&api.by_address);
}

int
main(int argc, char **argv)
{
	static const struct svc_program program = {
	    .name = "api",
	    .prefix = "SEKISHO_API_",
	    .needs = SVC_BUS,
	    .config = config,
	    .metrics = metrics,
	    .init = init,
	    .done = done,
	};
	return svc_main(&program, argc, argv);
}
