/* SPDX-License-Identifier: MIT
 *
 * What is derived from the configuration.
 */
#include "delivery.h"

#include <stdio.h>
#include <string.h>

#include "route.h"

struct delivery_config delivery_config;
struct delivery delivery;

enum rc
delivery_config_parse(struct delivery_config *c, struct err *e)
{
	char word[32], host[ROUTE_HOST_SIZE];
	enum route_tls tls;
	int port;
	c->n_retry = 0;
	for (const char *p = c->retry_text; *p != '\0';) {
		size_t n = strcspn(p, ",");
		snprintf(word, sizeof(word), "%.*s", (int)n, p);
		if (n >= sizeof(word) || c->n_retry == DELIVERY_RETRY_MAX ||
		    config_parse_duration(word, &c->retry_ms[c->n_retry]) != RC_OK || c->retry_ms[c->n_retry] <= 0)
			return err_set(e, RC_INVALID,
				       "SEKISHO_DELIVERY_RETRY: not a list of durations like \"1m,5m,1h\"");
		c->n_retry++;
		p += n + (p[n] == ',');
	}
	if (c->n_retry == 0)
		return err_set(e, RC_INVALID, "SEKISHO_DELIVERY_RETRY: empty");
	if (!route_tls_parse(c->tls, &tls))
		return err_set(e, RC_INVALID, "SEKISHO_DELIVERY_TLS: none of may, encrypt, verify");
	if (c->next_hop[0] != '\0' && !route_host_port(c->next_hop, host, &port))
		return err_set(e, RC_INVALID, "SEKISHO_DELIVERY_NEXT_HOP: not host:port");
	if (c->inbound_hop[0] != '\0' && !route_host_port(c->inbound_hop, host, &port))
		return err_set(e, RC_INVALID, "SEKISHO_DELIVERY_INBOUND_HOP: not host:port");
	if (c->lease_ms < c->dot_ms + c->block_ms + 60000)
		return err_set(e, RC_INVALID,
			       "SEKISHO_DELIVERY_LEASE: must outlive _DOT_TIMEOUT and _BLOCK_TIMEOUT by a minute");
	return RC_OK;
}

int64_t
delivery_next_attempt(const struct delivery_config *c, int32_t attempts, int64_t now_us)
{
	int i = attempts < 1 ? 0 : attempts - 1;
	return now_us + c->retry_ms[i < c->n_retry ? i : c->n_retry - 1] * 1000;
}
