/* SPDX-License-Identifier: MIT */
#include "svc/health.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct health {
	struct MHD_Daemon *daemon;
	struct metric *const *const *tables;
	health_ready ready;
	void *ctx;
};

static enum MHD_Result
reply(struct MHD_Connection *c, unsigned status, const char *type, struct bytes body)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(body.n, (void *)body.p, MHD_RESPMEM_MUST_COPY);
	if (r == NULL)
		return MHD_NO;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	enum MHD_Result done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static enum MHD_Result
on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method, const char *version,
	   const char *data, size_t *size, void **state)
{
	struct health *h = ctx;
	static int seen;
	if (*state == NULL) { /* headers first; the request itself comes with the next call */
		*state = &seen;
		return MHD_YES;
	}
	if (*size != 0) { /* nothing here takes a body */
		*size = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return reply(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", bytes_str("GET only\n"));
	if (strcmp(url, "/healthz") == 0)
		return reply(c, MHD_HTTP_OK, "text/plain", bytes_str("alive\n"));
	if (strcmp(url, "/readyz") == 0) {
		char why[256] = "not ready";
		bool ready = h->ready(h->ctx, why, sizeof(why) - 2);
		if (!ready)
			strcat(why, "\n");
		return reply(c, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain",
			     bytes_str(ready ? "ready\n" : why));
	}
	if (strcmp(url, "/metrics") == 0) {
		struct buf out;
		buf_init(&out, 1u << 20);
		metrics_print(h->tables, &out);
		enum MHD_Result done = reply(c, MHD_HTTP_OK, "text/plain; version=0.0.4", buf_bytes(&out));
		buf_done(&out);
		return done;
	}
	return reply(c, MHD_HTTP_NOT_FOUND, "text/plain", bytes_str("/healthz /readyz /metrics\n"));
}

enum rc
health_open(const char *listen, struct metric *const *const *tables, health_ready ready, void *ctx,
	    struct health **out_r, struct err *e)
{
	if (listen == NULL || listen[0] == 0) {
		*out_r = NULL;
		return RC_OK;
	}
	char host[64];
	const char *colon = strrchr(listen, ':');
	struct sockaddr_in at = {.sin_family = AF_INET};
	int port = colon != NULL ? (int)strtol(colon + 1, NULL, 10) : 0;
	snprintf(host, sizeof(host), "%.*s", colon != NULL ? (int)(colon - listen) : 0, listen);
	if (port < 1 || port > 65535 || inet_pton(AF_INET, host, &at.sin_addr) != 1)
		return err_set(e, RC_INVALID, "health listener: \"%.60s\" is not address:port", listen);
	at.sin_port = htons((uint16_t)port);
	struct health *h = calloc(1, sizeof(*h));
	if (h == NULL)
		abort();
	h->tables = tables;
	h->ready = ready;
	h->ctx = ctx;
	h->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, on_request, h,
				     MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_CONNECTION_LIMIT, 32u,
				     MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
	if (h->daemon == NULL) {
		free(h);
		return err_set(e, RC_RETRY, "health listener: cannot listen on %.60s", listen);
	}
	*out_r = h;
	return RC_OK;
}

void
health_close(struct health **h)
{
	if (h == NULL || *h == NULL)
		return;
	MHD_stop_daemon((*h)->daemon);
	free(*h);
	*h = NULL;
}
