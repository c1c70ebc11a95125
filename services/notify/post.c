/* SPDX-License-Identifier: MIT
 *
 * libcurl's easy interface. A poster is freed after its webhook's turn, so no connection, session or address outlives
 * it or is shared between tenants.
 */
#include "post.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"

#define HEADERS_MAX 32768 /* octets of an answer's header */
#define AGENT	    "Sekisho-Webhooks/1"

struct poster {
	CURL *curl;
	struct post_options options;
	bool plain; /* http */
	enum guard_verdict refused;
	size_t n_header;
	bool full; /* as much as is read has come */
	struct post_answer *answer;
};

static atomic_bool stopped;

const char *
post_outcome_str(enum post_outcome o)
{
	static const char *const names[] = {"ok",      "status", "timeout", "refused", "resolve",
					    "connect", "tls",	 "broken",  "stopped"};
	return names[o];
}

enum rc
post_init(struct err *e)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? RC_OK : err_set(e, RC_INTERNAL, "libcurl");
}

void
post_stop(void)
{
	atomic_store(&stopped, true);
}

/* --- what libcurl calls -------------------------------------------------------------------------------------- */
static curl_socket_t
on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct poster *p = ctx;
	enum guard_verdict v = guard_judge(p->options.guard, &to->addr, p->plain);
	if (purpose != CURLSOCKTYPE_IPCXN || v != GUARD_OK) {
		p->refused = v != GUARD_OK ? v : GUARD_REFUSED;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t
on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct poster *p = ctx;
	struct post_answer *a = p->answer;
	size_t room = sizeof(a->body) - a->n_body, take = size * n;
	p->full = take >= room;
	if (take > room)
		take = room;
	memcpy(a->body + a->n_body, data, take);
	a->n_body += take;
	return p->full ? 0 : take; /* 0: no more, please */
}

static size_t
on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct poster *p = ctx;
	p->n_header += size * n;
	return p->n_header <= HEADERS_MAX ? size * n : 0;
}

static int
on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	return atomic_load(&stopped);
}

/* --- life ---------------------------------------------------------------------------------------------------- */
struct poster *
poster_new(const struct post_options *o)
{
	struct poster *p = calloc(1, sizeof(*p));
	if (p == NULL || (p->curl = curl_easy_init()) == NULL)
		abort();
	p->options = *o;
	return p;
}

void
poster_free(struct poster **pp)
{
	if (*pp == NULL)
		return;
	curl_easy_cleanup((*pp)->curl);
	free(*pp);
	*pp = NULL;
}

static void
set_options(struct poster *p, const char *url, struct curl_slist *headers, struct bytes body)
{
	const struct post_options *o = &p->options;
	CURL *c = p->curl;
	curl_easy_reset(c); /* connections stay */
	CURLcode rc = curl_easy_setopt(c, CURLOPT_URL, url);
	rc |= curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, o->guard->http ? "https,http" : "https");
	rc |= curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	rc |= curl_easy_setopt(c, CURLOPT_PROXY, "");
	rc |= curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	rc |= curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	rc |= curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L); /* does not wait for a resolver that is late */
	rc |= curl_easy_setopt(c, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	rc |= curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	rc |= curl_easy_setopt(c, CURLOPT_HTTP09_ALLOWED, 0L);
	rc |= curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	rc |= curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	rc |= curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (o->ca[0] != '\0')
		rc |= curl_easy_setopt(c, CURLOPT_CAINFO, o->ca);
	rc |= curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
	rc |= curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
	rc |= curl_easy_setopt(c, CURLOPT_USERAGENT, AGENT);
	rc |= curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	rc |= curl_easy_setopt(c, CURLOPT_POST, 1L);
	rc |= curl_easy_setopt(c, CURLOPT_POSTFIELDS, (const char *)body.p);
	rc |= curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	rc |= curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	rc |= curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, p);
	rc |= curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	rc |= curl_easy_setopt(c, CURLOPT_WRITEDATA, p);
	rc |= curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	rc |= curl_easy_setopt(c, CURLOPT_HEADERDATA, p);
	rc |= curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	rc |= curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	if (rc != CURLE_OK)
		abort(); /* a libcurl without one of these must not send anything */
}

static void
failed(struct post_answer *a, enum post_outcome o, const char *text)
{
	a->outcome = o;
	snprintf(a->error, sizeof(a->error), "%s", text);
}

static void
judge_error(const struct poster *p, CURLcode rc, struct post_answer *a)
{
	if (rc == CURLE_ABORTED_BY_CALLBACK)
		failed(a, POST_STOPPED, "stopped");
	else if (p->refused != GUARD_OK && a->status == 0)
		failed(a, POST_REFUSED, guard_verdict_str(p->refused));
	else if (rc == CURLE_OPERATION_TIMEDOUT)
		failed(a, POST_TIMEOUT, a->status != 0 ? "timeout in the middle of the answer" : "timeout");
	else if (rc == CURLE_COULDNT_RESOLVE_HOST)
		/* In the words of the guard: else they tell which names our resolver knows. */
		failed(a, POST_RESOLVE, guard_verdict_str(GUARD_REFUSED));
	else if (rc == CURLE_COULDNT_CONNECT)
		failed(a, POST_CONNECT, "no connection");
	else if (rc == CURLE_PEER_FAILED_VERIFICATION)
		failed(a, POST_TLS, "the certificate is not valid");
	else if (rc == CURLE_SSL_CONNECT_ERROR || rc == CURLE_SSL_CIPHER || rc == CURLE_USE_SSL_FAILED)
		failed(a, POST_TLS, "no TLS session");
	else
		failed(a, POST_BROKEN, "no whole answer came");
}

void
poster_send(struct poster *p, const char *url, const char *const *headers, size_t n, struct bytes body,
	    struct post_answer *out_r)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	long status = 0;
	curl_off_t retry_after = 0;
	for (size_t i = 0; i < n && list != NULL; i++) {
		struct curl_slist *longer = curl_slist_append(list, headers[i]);
		if (longer == NULL)
			abort();
		list = longer;
	}
	if (list == NULL)
		abort();
	*out_r = (struct post_answer){0};
	p->answer = out_r;
	p->refused = GUARD_OK;
	p->full = false;
	p->n_header = 0;
	p->plain = strncasecmp(url, "http:", 5) == 0;
	set_options(p, url, list, body);
	int64_t began = clock_mono_ms();
	CURLcode rc = curl_easy_perform(p->curl);
	out_r->duration_ms = (uint32_t)(clock_mono_ms() - began);
	if (curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status >= 100)
		out_r->status = (uint32_t)status;
	if (curl_easy_getinfo(p->curl, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK)
		out_r->retry_after_s = retry_after;
	out_r->whole = rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && p->full && out_r->n_body == POST_ANSWER_MAX);
	if (!out_r->whole)
		judge_error(p, rc, out_r);
	else if (status < 200 || status > 299) {
		out_r->outcome = POST_STATUS;
		snprintf(out_r->error, sizeof(out_r->error), "HTTP %ld", status);
	}
	curl_slist_free_all(list);
	p->answer = NULL;
}
