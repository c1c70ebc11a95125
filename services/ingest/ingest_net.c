/* SPDX-License-Identifier: MIT
 *
 * Listeners and the loop. Other threads reach it by a list of answered questions and an eventfd.
 */
#include "ingest_net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "ingest_conn.h"
#include "ingest_pipeline.h"

#define BACKLOG 1024

struct listening {
	struct net *net;
	enum session_kind kind;
};
static struct listening listening[4]; /* contexts of the listeners; one net per process */

/* --- from other threads ------------------------------------------------------------------------------------------- */
static void
nudge(struct net *n)
{
	uint64_t one = 1;
	while (write(n->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

void
net_done(void *net, struct ask *a)
{
	struct net *n = net;
	a->next = NULL;
	pthread_mutex_lock(&n->lock);
	bool first = n->answered == NULL;
	*n->answered_tail = a;
	n->answered_tail = &a->next;
	pthread_mutex_unlock(&n->lock);
	if (first)
		nudge(n);
}

/* --- on the loop ----------------------------------------------------------------------------------------------------
 */
static void
begin_drain(struct net *n)
{
	n->draining = true;
	for (int i = 0; i < 4; i++) {
		if (n->listeners[i] != NULL)
			evconnlistener_free(n->listeners[i]);
		n->listeners[i] = NULL;
	}
	for (struct conn *c = n->conns, *next; c != NULL; c = next) {
		next = c->next;
		conn_drain(c);
	}
}

static void
look_quiet(struct net *n)
{
	if (!n->draining || n->n_conns > 0)
		return;
	pthread_mutex_lock(&n->lock);
	n->is_quiet = true;
	pthread_cond_signal(&n->quiet);
	pthread_mutex_unlock(&n->lock);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;
	uint64_t count;
	if (read(n->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		abort();
	pthread_mutex_lock(&n->lock);
	struct ask *a = n->answered;
	n->answered = NULL;
	n->answered_tail = &n->answered;
	bool drain = n->drain_wanted && !n->draining, end = n->end_wanted;
	pthread_mutex_unlock(&n->lock);
	while (a != NULL) {
		struct ask *next = a->next;
		if (a->owner != NULL)
			conn_answer(a->owner, a);
		else
			ask_free(&a);
		a = next;
	}
	if (drain)
		begin_drain(n);
	look_quiet(n);
	if (end)
		event_base_loopbreak(n->base);
}

/* New connections get the new certificate; those that are open keep theirs. Files that cannot be used, such as a key
 * that is not yet the certificate's, are tried again when they change again. */
static void
look_at_certificate(struct net *n, int64_t now_ms)
{
	const struct ingest_config *cfg = &n->in->config;
	struct err err = {0};
	SSL_CTX *tls = NULL;
	if (n->tls == NULL || now_ms < n->tls_next_ms)
		return;
	n->tls_next_ms = now_ms + cfg->tls_check_ms;
	uint64_t version = tls_files_version(cfg->tls_cert, cfg->tls_key);
	if (version == 0 || version == n->tls_version)
		return;
	n->tls_version = version;
	if (tls_open(cfg->tls_cert, cfg->tls_key, &tls, &err) != RC_OK) {
		log_error("new certificate cannot be used, the old one stays", LOG_ERR(&err));
		return;
	}
	SSL_CTX_free(n->tls);
	n->tls = tls;
	log_info("new certificate");
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;
	int64_t now_ms = clock_mono_ms();
	pipeline_tick(n->in->pipeline);
	look_at_certificate(n, now_ms);
	for (struct conn *c = n->conns, *next; c != NULL; c = next) {
		next = c->next;
		conn_look(c, now_ms);
	}
	metric_set(&ingest_bytes, 0, atomic_load(&n->in->budget.used));
	for (int i = 0; i < 4; i++)
		if (n->listeners[i] != NULL)
			evconnlistener_enable(n->listeners[i]); /* after an error, see below */
	look_quiet(n);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct listening *at = arg;
	struct net *n = at->net;
	struct peer peer = peer_of(sa);
	int on = 1;
	if (n->n_conns >= n->in->config.max_conn) {
		static const char words[] = "421 4.3.2 too many connections\r\n";
		metric_add(&ingest_dropped, DROP_TOTAL, 1);
		if (at->kind != SESSION_SUBMISSIONS && send(fd, words, sizeof(words) - 1, MSG_NOSIGNAL) < 0)
			errno = 0; /* it was worth a try */
		close(fd);
		return;
	}
	if (sa->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	conn_open(n, at->kind, fd, &peer);
}

/* Out of descriptors, mostly: trying again at once would only spin. The tick enables it again. */
static void
on_accept_error(struct evconnlistener *l, void *arg)
{
	log_warn("cannot accept", LOG_STR("error", strerror(errno)));
	evconnlistener_disable(l);
}

static void *
run_loop(void *arg)
{
	struct net *n = arg;
	event_base_loop(n->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

/* --- set-up
 * ----------------------------------------------------------------------------------------------------------- */
static enum rc
bind_unix(const char *path, int *fd_r, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, RC_INVALID, "socket path is too long");
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unlink(path); /* left by the process before us */
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(fd, BACKLOG) != 0) {
		enum rc rc = err_set(e, RC_INVALID, "%.100s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	/* Who may connect is the folder's business; who may submit is the actor token's. */
	if (chmod(path, 0666) != 0)
		log_warn("cannot change mode of socket", LOG_STR("error", strerror(errno)));
	*fd_r = fd;
	return RC_OK;
}

static enum rc
bind_tcp(const char *text, int *fd_r, struct err *e)
{
	char host[256];
	const char *colon = strrchr(text, ':');
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *ai = NULL;
	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return err_set(e, RC_INVALID, "%.100s: not host:port", text);
	size_t n = (size_t)(colon - text);
	bool brackets = n >= 2 && text[0] == '[' && text[n - 1] == ']';
	snprintf(host, sizeof(host), "%.*s", (int)(n - 2 * brackets), text + brackets);
	int k = getaddrinfo(host[0] != '\0' ? host : NULL, colon + 1, &hints, &ai);
	if (k != 0)
		return err_set(e, RC_INVALID, "%.100s: %s", text, gai_strerror(k));
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		enum rc rc = err_set(e, RC_INVALID, "%.100s: %s", text, strerror(errno));
		if (fd >= 0)
			close(fd);
		freeaddrinfo(ai);
		return rc;
	}
	freeaddrinfo(ai);
	*fd_r = fd;
	return RC_OK;
}

static enum rc
open_listener(struct net *n, enum session_kind kind, struct err *e)
{
	const char *text = n->in->config.listen[kind];
	int fd = -1;
	if (text[0] == '\0')
		return RC_OK;
	if (kind == SESSION_SUBMISSIONS && n->tls == NULL)
		return err_set(e, RC_INVALID, "submissions listener: needs SEKISHO_INGEST_TLS_CERT");
	enum rc rc = text[0] == '/' ? bind_unix(text, &fd, e) : bind_tcp(text, &fd, e);
	if (rc != RC_OK)
		return err_prefix(e, "%s listener", session_kind_str(kind));
	listening[kind] = (struct listening){n, kind};
	n->listeners[kind] =
	    evconnlistener_new(n->base, on_accept, &listening[kind],
			       LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, fd);
	evconnlistener_set_error_cb(n->listeners[kind], on_accept_error);
	return RC_OK;
}

static void
raise_descriptors(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) != 0)
		log_warn("cannot raise the limit of descriptors", LOG_STR("error", strerror(errno)));
}

enum rc
net_new(struct ingest *in, struct net **out_r, struct err *e)
{
	struct net *n = calloc(1, sizeof(*n));
	if (n == NULL)
		abort();
	raise_descriptors();
	n->in = in;
	n->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	n->base = event_base_new();
	if (n->wake_fd < 0 || n->base == NULL)
		abort();
	n->answered_tail = &n->answered;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->quiet, NULL);
	n->counts = peer_counts_new();
	struct timeval idle = {in->config.idle_ms / 1000, (in->config.idle_ms % 1000) * 1000}, second = {1, 0};
	n->idle = event_base_init_common_timeout(n->base, &idle);
	n->wake = event_new(n->base, n->wake_fd, EV_READ | EV_PERSIST, on_wake, n);
	n->tick = event_new(n->base, -1, EV_PERSIST, on_tick, n);
	event_add(n->wake, NULL);
	event_add(n->tick, &second);
	n->tls_version = tls_files_version(in->config.tls_cert, in->config.tls_key);
	enum rc rc = tls_open(in->config.tls_cert, in->config.tls_key, &n->tls, e);
	if (rc == RC_OK && (rc = peer_list_parse(in->config.proxy_trusted, &n->proxies, e)) != RC_OK)
		err_prefix(e, "SEKISHO_INGEST_PROXY_TRUSTED");
	in->session.starttls = n->tls != NULL;
	for (int kind = 0; kind < 4 && rc == RC_OK; kind++)
		rc = open_listener(n, (enum session_kind)kind, e);
	if (rc != RC_OK)
		net_free(&n);
	else
		*out_r = n;
	return rc;
}

void
net_start(struct net *n)
{
	for (int i = 0; i < 4; i++)
		if (n->listeners[i] != NULL)
			evconnlistener_enable(n->listeners[i]);
	if (pthread_create(&n->thread, NULL, run_loop, n) != 0)
		abort();
	n->started = true;
}

void
net_drain(struct net *n, int64_t wait_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += wait_ms / 1000;
	pthread_mutex_lock(&n->lock);
	n->drain_wanted = true;
	pthread_mutex_unlock(&n->lock);
	nudge(n);
	pthread_mutex_lock(&n->lock);
	while (!n->is_quiet && pthread_cond_timedwait(&n->quiet, &n->lock, &until) == 0)
		continue;
	pthread_mutex_unlock(&n->lock);
}

void
net_stop(struct net *n)
{
	if (n->started) {
		pthread_mutex_lock(&n->lock);
		n->end_wanted = true;
		pthread_mutex_unlock(&n->lock);
		nudge(n);
		pthread_join(n->thread, NULL);
		n->started = false;
	}
	while (n->conns != NULL)
		conn_close(n->conns);
}

void
net_free(struct net **np)
{
	struct net *n = *np;
	if (n == NULL)
		return;
	*np = NULL;
	net_stop(n);
	while (n->answered != NULL) {
		struct ask *a = n->answered;
		n->answered = a->next;
		ask_free(&a);
	}
	for (int i = 0; i < 4; i++)
		if (n->listeners[i] != NULL)
			evconnlistener_free(n->listeners[i]);
	if (n->wake != NULL)
		event_free(n->wake);
	if (n->tick != NULL)
		event_free(n->tick);
	event_base_free(n->base);
	SSL_CTX_free(n->tls);
	peer_list_free(&n->proxies);
	peer_counts_free(&n->counts);
	close(n->wake_fd);
	free(n);
}
