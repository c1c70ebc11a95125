/* SPDX-License-Identifier: MIT
 *
 * What the rooms of delivery share: the configuration and the parts that run. Filled by main.c before any thread
 * starts, read-only afterwards.
 */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "svc/svc.h"

#define DELIVERY_RETRY_MAX 32

struct delivery_config {
	/* As configured. */
	const char *hostname, *next_hop, *inbound_hop, *tls, *ca, *resolv_conf, *hosts, *retry_text;
	int64_t senders, destination_limit, queue, expiry_ms, delay_ms, lease_ms, idle_ms;
	int64_t connect_ms, greeting_ms, command_ms, data_ms, block_ms, dot_ms;
	int64_t mx_port, sandbox_keep_ms;
	bool allow_private;
	/* Parsed from retry_text: waiting times after the 1st, 2nd, ... attempt; the last one repeats. */
	int64_t retry_ms[DELIVERY_RETRY_MAX];
	int n_retry;
};
extern struct delivery_config delivery_config;

/* "1m,5m,1h" into retry_ms. */
enum rc delivery_config_parse(struct delivery_config *c, struct err *e) MUST_CHECK;
/* Wall time of the attempt after the attempts-th one (from 1). */
int64_t delivery_next_attempt(const struct delivery_config *c, int32_t attempts, int64_t now_us);

struct alive;
struct scheduler;
struct results;
struct lanes;
struct senders;
struct signers;
struct dns;
struct search_index;
struct sandbox;
struct delivery {
	struct svc *svc;
	struct alive *alive;
	struct scheduler *scheduler;
	struct results *results;
	struct lanes *lanes;
	struct senders *senders;
	struct signers *signers;
	struct dns *dns;
	struct search_index *search_index;
	struct sandbox *sandbox;
};
extern struct delivery delivery;

#endif
