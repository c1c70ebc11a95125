/* SPDX-License-Identifier: MIT
 *
 * sekisho webhook listen: a receiver for trying webhooks out. It listens on 127.0.0.1, takes only what the secret's
 * owner signed, prints it, and may hand it on. Requests are answered one after the other on libmicrohttpd's thread; the
 * main thread waits for a signal or the last wanted event.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "hook.h"
#include "term.h"

#define BODY_MAX  (1024u * 1024)
#define FORWARD_S 15L

struct listener {
	struct cli *c;
	struct hook_secret secret;
	const char *forward; /* NULL: nowhere */
	json_int_t left;     /* genuine events still wanted; -1: no bound */
	bool unwritable;
};

/* One request. */
struct hearing {
	struct buf body;
	int refused; /* HTTP status; 0: not yet */
};

static enum MHD_Result
answer(struct MHD_Connection *m, int status)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	if (r == NULL)
		return MHD_NO;
	MHD_add_response_header(r, "Connection", "close");
	enum MHD_Result done = MHD_queue_response(m, (unsigned)status, r);
	MHD_destroy_response(r);
	return done;
}

struct counting {
	const char *name;
	int n;
};

static enum MHD_Result
count_header(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct counting *x = ctx;
	(void)kind, (void)value;
	x->n += strcasecmp(name, x->name) == 0;
	return MHD_YES;
}

static int
count_of(struct MHD_Connection *m, const char *name)
{
	struct counting x = {name, 0};
	MHD_get_connection_values(m, MHD_HEADER_KIND, count_header, &x);
	return x.n;
}

/* What this library lets pass although it is ambiguous, and what nobody sends. 0: fine. */
static int
refusal(struct MHD_Connection *m, const char *method)
{
	static const char *const once[] = {"Content-Length", "webhook-id", "webhook-timestamp", "webhook-signature"};
	if (strcmp(method, "POST") != 0)
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		if (count_of(m, once[i]) > 1)
			return MHD_HTTP_BAD_REQUEST;
	if (count_of(m, "Content-Length") > 0 && count_of(m, "Transfer-Encoding") > 0)
		return MHD_HTTP_BAD_REQUEST;
	return 0;
}

static size_t
swallow(char *p, size_t size, size_t n, void *ctx)
{
	(void)p, (void)ctx;
	return size * n;
}

/* Hands the request on as it came; the other's status, or 502. */
static int
forward(struct listener *l, const struct hook_request *r, const char *content_type)
{
	struct arena *a = arena_new();
	CURL *curl = curl_easy_init();
	struct curl_slist *h = NULL;
	long status = 0;
	if (curl == NULL)
		abort();
	h = curl_slist_append(h, arena_printf(a, "webhook-id: %s", r->id));
	h = curl_slist_append(h, arena_printf(a, "webhook-timestamp: %s", r->timestamp));
	h = curl_slist_append(h, arena_printf(a, "webhook-signature: %s", r->signature));
	h = curl_slist_append(
	    h, arena_printf(a, "Content-Type: %s", content_type != NULL ? content_type : "application/json"));
	h = curl_slist_append(h, "Expect:");
	curl_easy_setopt(curl, CURLOPT_URL, l->forward);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, h);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, FORWARD_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body.n > 0 ? (const char *)r->body.p : "");
	CURLcode done = curl_easy_perform(curl);
	if (done == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	else
		cli_error("cannot forward %s: %s", r->id, curl_easy_strerror(done));
	curl_slist_free_all(h);
	curl_easy_cleanup(curl);
	arena_free(&a);
	return status >= 200 && status <= 599 ? (int)status : MHD_HTTP_BAD_GATEWAY;
}

static void
print_event(struct listener *l, const struct hook_request *r, int status)
{
	static const struct cli_column detail = {"", "data", CLI_JSON};
	struct cli c = *l->c;
	c.arena = arena_new();
	json_t *body = json_loadb((const char *)r->body.p, r->body.n, JSON_REJECT_DUPLICATES, NULL);
	if (c.args.json) {
		/* One event, one line, whatever the body looked like. */
		json_t *line = json_pack("{s:s, s:i, s:o}", "id", r->id, "status", status, "body",
					 body != NULL ? json_incref(body) : json_null());
		char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
		struct cli_answer a = {.body = bytes_str(text != NULL ? text : "null")};
		(void)cli_print_json(&c, &a);
		free(text);
		json_decref(line);
	} else {
		const char *line = arena_printf(c.arena, "%s  %s  %s  %s  %d", cli_time(&c, body, "timestamp"), r->id,
						body != NULL ? cli_str(body, "type") : "(no JSON)",
						cli_cell(&c, body, &detail), status);
		puts(term_safe(c.arena, bytes_str(line)));
	}
	json_decref(body);
	arena_free(&c.arena);
	l->unwritable = fflush(stdout) != 0;
}

static void
tell_main(void)
{
	kill(getpid(), SIGTERM); /* blocked everywhere: the main thread waits for it */
}

static enum MHD_Result
take(struct listener *l, struct MHD_Connection *m, struct hearing *x)
{
	struct hook_request r = {
	    .id = MHD_lookup_connection_value(m, MHD_HEADER_KIND, "webhook-id"),
	    .timestamp = MHD_lookup_connection_value(m, MHD_HEADER_KIND, "webhook-timestamp"),
	    .signature = MHD_lookup_connection_value(m, MHD_HEADER_KIND, "webhook-signature"),
	    .body = buf_bytes(&x->body),
	};
	const char *why = hook_check(&l->secret, &r, (int64_t)time(NULL));
	if (why != NULL) {
		cli_error("not genuine, refused: %s", why);
		return answer(m, MHD_HTTP_UNAUTHORIZED);
	}
	int status = MHD_HTTP_NO_CONTENT;
	if (l->forward != NULL)
		status = forward(l, &r, MHD_lookup_connection_value(m, MHD_HEADER_KIND, "Content-Type"));
	if (l->left != 0)
		print_event(l, &r, status);
	if (l->left > 0)
		l->left--;
	return answer(m, status);
}

static enum MHD_Result
on_request(void *ctx, struct MHD_Connection *m, const char *url, const char *method, const char *version,
	   const char *data, size_t *size, void **state)
{
	struct listener *l = ctx;
	struct hearing *x = *state;
	(void)url, (void)version;
	if (x == NULL) {
		x = calloc(1, sizeof(*x));
		if (x == NULL)
			return MHD_NO;
		buf_init(&x->body, BODY_MAX);
		x->refused = refusal(m, method);
		*state = x;
		return x->refused != 0 ? answer(m, x->refused) : MHD_YES;
	}
	if (*size > 0) {
		buf_add(&x->body, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (x->refused != 0 || !buf_ok(&x->body))
		return answer(m, x->refused != 0 ? x->refused : 413);
	return take(l, m, x);
}

static void
on_completed(void *ctx, struct MHD_Connection *m, void **state, enum MHD_RequestTerminationCode code)
{
	struct listener *l = ctx;
	struct hearing *x = *state;
	(void)m, (void)code;
	if (x != NULL)
		buf_done(&x->body);
	free(x);
	*state = NULL;
	if (l->left == 0 || l->unwritable)
		tell_main(); /* now the answer has left */
}

static bool
load_secret(struct cli *c, struct hook_secret *out_r)
{
	const char *file = cli_value(c, "--secret-file"), *text = getenv("SEKISHO_WEBHOOK_SECRET");
	if (file != NULL && !cli_read_line(c, file, &text))
		return false;
	if (text == NULL || !hook_secret_parse(text, out_r)) {
		cli_error(text == NULL ? "webhook listen needs --secret-file or SEKISHO_WEBHOOK_SECRET"
				       : "that is no webhook secret (whsec_ and base64)");
		return false;
	}
	return true;
}

/* NULL with both certificate options absent is fine; false: what is wrong was printed. */
static bool
load_certificate(struct cli *c, const char **certificate_r, const char **key_r)
{
	const char *files[] = {cli_value(c, "--certificate"), cli_value(c, "--certificate-key")}, *text[2] = {NULL};
	if ((files[0] == NULL) != (files[1] == NULL)) {
		cli_error("--certificate and --certificate-key go together");
		return false;
	}
	for (int i = 0; files[i] != NULL && i < 2; i++) {
		struct bytes pem;
		if (!cli_read_file(c, files[i], 65536, &pem))
			return false;
		text[i] = arena_strndup(c->arena, pem.p, pem.n);
		if (i == 1)
			break;
	}
	*certificate_r = text[0];
	*key_r = text[1];
	return true;
}

static struct MHD_Daemon *
start(struct listener *l, int port, const char *certificate, const char *key)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | (certificate != NULL ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {
	    {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)certificate},
	    {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key},
	    {MHD_OPTION_END, 0, NULL},
	};
	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, l, MHD_OPTION_SOCK_ADDR, &at,
				MHD_OPTION_CONNECTION_TIMEOUT, 20u, MHD_OPTION_CONNECTION_LIMIT, 64u,
				MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, l,
				MHD_OPTION_ARRAY, certificate != NULL ? tls : tls + 2, MHD_OPTION_END);
}

int
cmd_webhook_listen(struct cli *c)
{
	struct listener l = {.c = c, .forward = cli_value(c, "--forward")};
	const char *certificate, *key;
	json_int_t port;
	if (!cli_number(c, "--port", 0, 65535, &port) || !cli_number(c, "--count", -1, 1000000000, &l.left) ||
	    !load_secret(c, &l.secret) || !load_certificate(c, &certificate, &key))
		return CLI_USAGE;
	if (l.forward != NULL && strncasecmp(l.forward, "http://", 7) != 0 &&
	    strncasecmp(l.forward, "https://", 8) != 0) {
		cli_error("--forward needs an http or https URL");
		return CLI_USAGE;
	}
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	struct MHD_Daemon *daemon = start(&l, (int)port, certificate, key);
	if (daemon == NULL) {
		cli_error("cannot listen on 127.0.0.1:%d", (int)port);
		return CLI_FAILED;
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	fprintf(stderr, "sekisho: listening on %s://127.0.0.1:%d/\n", certificate != NULL ? "https" : "http",
		info != NULL ? info->port : (int)port);
	int got;
	if (l.left != 0)
		sigwait(&ends, &got);
	MHD_stop_daemon(daemon);
	return l.unwritable ? CLI_FAILED : CLI_OK;
}
