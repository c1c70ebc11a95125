/* SPDX-License-Identifier: MIT
 *
 * Requests to the API by libcurl: only https, the answer whole or piece by piece, and a problem as one line.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"
#include "core/id.h"
#include "term.h"

#define ANSWER_MAX  (64u * 1024 * 1024)
#define TIMEOUT_S   120L
#define SILENCE_S   60L
#define PROBLEM_MAX (256u * 1024)

void
cli_error(const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	struct arena *a = arena_new();
	fprintf(stderr, "sekisho: %s\n", term_safe(a, bytes_str(line)));
	arena_free(&a);
}

struct receiving {
	struct buf body;
	char etag[128];
};

static size_t
on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct receiving *in = ctx;
	buf_add(&in->body, p, size * n);
	return buf_ok(&in->body) ? size * n : 0;
}

static size_t
on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct receiving *in = ctx;
	if (size * n > 5 && strncasecmp(p, "etag:", 5) == 0) {
		size_t len = size * n - 5;
		const char *v = p + 5;
		for (; len > 0 && *v == ' '; len--)
			v++;
		while (len > 0 && (v[len - 1] == '\r' || v[len - 1] == '\n'))
			len--;
		snprintf(in->etag, sizeof(in->etag), "%.*s", (int)len, v);
	}
	return size * n;
}

static struct curl_slist *
headers_of(const struct cli *c, const struct cli_request *r)
{
	struct curl_slist *list = NULL;
	if (c->key[0] != '\0')
		list = curl_slist_append(list, arena_printf(c->arena, "Authorization: Bearer %s", c->key));
	if (r->content_type != NULL)
		list = curl_slist_append(list, arena_printf(c->arena, "Content-Type: %s", r->content_type));
	for (size_t i = 0; i < sizeof(r->headers) / sizeof(r->headers[0]) && r->headers[i].name != NULL; i++)
		list =
		    curl_slist_append(list, arena_printf(c->arena, "%s: %s", r->headers[i].name, r->headers[i].value));
	return curl_slist_append(list, "Expect:");
}

static bool
headers_safe(const struct cli *c, const struct cli_request *r)
{
	bool ok = strpbrk(c->key, "\r\n") == NULL;
	for (size_t i = 0; i < sizeof(r->headers) / sizeof(r->headers[0]) && r->headers[i].name != NULL; i++)
		ok = ok && strpbrk(r->headers[i].value, "\r\n") == NULL;
	return ok;
}

static void
print_problem(const struct cli *c, const struct cli_answer *a)
{
	if (c->args.json && a->json != NULL) {
		(void)cli_print_json(c, a);
		return;
	}
	const char *detail = cli_str(a->json, "detail"), *code = cli_str(a->json, "code");
	if (detail[0] == '\0') {
		cli_error("the server answered %d without a word", a->status);
		return;
	}
	cli_error("%s (%s, HTTP %d)", detail, code[0] != '\0' ? code : "no code", a->status);
	size_t i;
	json_t *f;
	json_array_foreach(json_object_get(a->json, "errors"), i, f)
	{
		if (json_array_size(json_object_get(a->json, "errors")) > 1 ||
		    strstr(detail, cli_str(f, "detail")) == NULL)
			cli_error("  %s%s%s: %s", cli_str(f, "pointer"), cli_str(f, "parameter"), cli_str(f, "header"),
				  cli_str(f, "detail"));
	}
}

static bool
may_be_sent(const struct cli *c, const struct cli_request *r)
{
	if (!headers_safe(c, r)) {
		cli_error("a value holds a line end");
		return false;
	}
	if (strncasecmp(c->url, "https://", 8) != 0) {
		cli_error("%s does not begin with https://: the key would travel in clear", c->url);
		return false;
	}
	return true;
}

/* What every request has. why: CURL_ERROR_SIZE octets. */
static CURL *
prepared(struct cli *c, const struct cli_request *r, struct curl_slist *headers, char *why)
{
	CURL *curl = curl_easy_init();
	if (curl == NULL)
		abort();
	size_t n = strlen(c->url);
	while (n > 0 && c->url[n - 1] == '/')
		n--;
	curl_easy_setopt(curl, CURLOPT_URL, arena_printf(c->arena, "%.*s%s", (int)n, c->url, r->path));
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "sekisho");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	if (c->ca[0] != '\0')
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca);
	if (r->content_type != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body.n > 0 ? (const char *)r->body.p : "");
	}
	return curl;
}

static const char *
new_key(struct cli *c)
{
	uint8_t octets[16];
	char *hex = arena_alloc(c->arena, 33);
	random_bytes(octets, sizeof(octets));
	for (size_t i = 0; i < sizeof(octets); i++)
		sprintf(hex + 2 * i, "%02x", octets[i]);
	return hex;
}

int
cli_call(struct cli *c, const struct cli_request *request, struct cli_answer *out_r)
{
	struct cli_request with_key = *request, *r = &with_key;
	const char *key = NULL;
	if (strcmp(r->method, "POST") == 0) {
		size_t i = 0;
		while (r->headers[i].name != NULL)
			i++;
		key = c->args.idempotency_key != NULL ? c->args.idempotency_key : new_key(c);
		r->headers[i] = (struct cli_header){"Idempotency-Key", key};
	}
	if (!may_be_sent(c, r))
		return CLI_USAGE;
	struct receiving in = {0};
	buf_init(&in.body, ANSWER_MAX);
	char why[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = headers_of(c, r);
	CURL *curl = prepared(c, r, headers, why);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &in);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &in);
	CURLcode done = curl_easy_perform(curl);
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	if (done != CURLE_OK) {
		cli_error("cannot reach %s: %s", c->url, why[0] != '\0' ? why : curl_easy_strerror(done));
		if (key != NULL)
			cli_error("it may have been done: repeat with --idempotency-key %s", key);
		buf_done(&in.body);
		return CLI_UNREACHABLE;
	}
	*out_r = (struct cli_answer){
	    .status = (int)status,
	    .body = arena_bytes(c->arena, buf_bytes(&in.body)),
	    .json = json_loadb((const char *)in.body.p, in.body.n, JSON_REJECT_DUPLICATES, NULL),
	    .etag = arena_strdup(c->arena, in.etag),
	};
	buf_done(&in.body);
	if (status >= 200 && status < 300)
		return CLI_OK;
	print_problem(c, out_r);
	return CLI_FAILED;
}

struct streaming {
	struct cli_stream *s;
	CURL *curl;
	struct buf problem; /* the answer, if it is no 2xx */
};

static size_t
on_piece(char *p, size_t size, size_t n, void *ctx)
{
	struct streaming *in = ctx;
	long status = 0;
	curl_easy_getinfo(in->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status >= 300) {
		buf_add(&in->problem, p, size * n);
		return buf_ok(&in->problem) ? size * n : 0;
	}
	in->s->answered = true;
	if (in->s->on_body(in->s->ctx, bytes_of(p, size * n)))
		return size * n;
	in->s->enough = true;
	return 0;
}

int
cli_call_stream(struct cli *c, struct cli_stream *s)
{
	s->answered = s->enough = false;
	s->status = s->retry_after = 0;
	if (!may_be_sent(c, &s->request))
		return CLI_USAGE;
	struct streaming in = {.s = s};
	buf_init(&in.problem, PROBLEM_MAX);
	char why[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = headers_of(c, &s->request);
	CURL *curl = in.curl = prepared(c, &s->request, headers, why);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_piece);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &in);
	/* Events bring a comment every 15 seconds, an export its lines: silence means that the other side is gone. */
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	CURLcode done = curl_easy_perform(curl);
	long status = 0;
	curl_off_t wait = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	s->status = (int)status;
	s->retry_after = wait > 0 && wait < 3600 ? (int)wait : 0;
	s->answered = s->answered || (done == CURLE_OK && status >= 200 && status < 300);
	int code = CLI_OK;
	if (s->enough) {
		;
	} else if (done != CURLE_OK) {
		code = CLI_UNREACHABLE;
		if (!s->quiet)
			cli_error("%s %s: %s", s->answered ? "the answer was cut off by" : "cannot reach", c->url,
				  why[0] != '\0' ? why : curl_easy_strerror(done));
	} else if (status < 200 || status >= 300) {
		struct cli_answer a = {.status = (int)status, .body = arena_bytes(c->arena, buf_bytes(&in.problem))};
		a.json = json_loadb((const char *)in.problem.p, in.problem.n, JSON_REJECT_DUPLICATES, NULL);
		if (!s->quiet || status < 500)
			print_problem(c, &a);
		json_decref(a.json);
		code = CLI_FAILED;
	}
	buf_done(&in.problem);
	return code;
}

int
cli_call_if(struct cli *c, const char *method, const char *path, json_t *body_take, const char *if_match,
	    struct cli_answer *out_r)
{
	struct cli_request r = {.method = method, .path = path};
	if (body_take != NULL) {
		char *text = json_dumps(body_take, JSON_COMPACT);
		json_decref(body_take);
		if (text == NULL)
			abort();
		r.content_type = "application/json";
		r.body = arena_bytes(c->arena, bytes_str(text));
		free(text);
	}
	if (if_match != NULL && if_match[0] != '\0')
		r.headers[0] = (struct cli_header){"If-Match", if_match};
	return cli_call(c, &r, out_r);
}

int
cli_call_json(struct cli *c, const char *method, const char *path, json_t *body_take, struct cli_answer *out_r)
{
	return cli_call_if(c, method, path, body_take, NULL, out_r);
}

const char *
cli_encode(struct cli *c, const char *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *out = arena_alloc(c->arena, strlen(s) * 3 + 1), *to = out;
	for (; *s != '\0'; s++) {
		if (strchr(plain, *s) != NULL)
			*to++ = *s;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*s);
	}
	*to = '\0';
	return out;
}

const char *
cli_add_query(struct cli *c, const char *path, const char *name, const char *value)
{
	char sep = strchr(path, '?') != NULL ? '&' : '?';
	return arena_printf(c->arena, "%s%c%s=%s", path, sep, name, cli_encode(c, value));
}

const char *
cli_query(struct cli *c, const char *path, const char *const *names)
{
	for (; *names != NULL; names++) {
		const char *v = cli_value(c, arena_printf(c->arena, "--%s", *names));
		if (v != NULL)
			path = cli_add_query(c, path, *names, v);
	}
	return path;
}

const char *
cli_add_times(struct cli *c, const char *path)
{
	static const char *const names[] = {"from", "until"};
	for (size_t i = 0; i < 2; i++) {
		const char *v = cli_value(c, i == 0 ? "--from" : "--until");
		if (v != NULL)
			path = cli_add_query(c, path, names[i],
					     strlen(v) == 10 ? arena_printf(c->arena, "%sT00:00:00Z", v) : v);
	}
	return path;
}
