/* SPDX-License-Identifier: MIT
 *
 * What the loop (ingest_net.c) lends its connections (ingest_conn.c).
 */
#ifndef INGEST_NET_INTERNAL_H
#define INGEST_NET_INTERNAL_H

#include <pthread.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "ingest_net.h"
#include "ingest_peer.h"
#include "ingest_tls.h"

#define NET_SCRATCH 65536

struct net {
	struct ingest *in;
	struct event_base *base;
	struct evconnlistener *listeners[4];
	struct event *wake, *tick;
	const struct timeval *idle;
	SSL_CTX *tls;
	uint64_t tls_version; /* of the files it was read from, or that could not be used */
	int64_t tls_next_ms;
	struct peer_list *proxies;
	struct peer_counts *counts;
	struct conn *conns;
	int64_t n_conns;
	bool started, draining;
	pthread_t thread;
	int wake_fd;
	pthread_mutex_t lock; /* below: shared with other threads */
	pthread_cond_t quiet;
	struct ask *answered, **answered_tail;
	bool drain_wanted, end_wanted, is_quiet;
	uint8_t scratch[NET_SCRATCH];
};

#endif
