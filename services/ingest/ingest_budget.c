/* SPDX-License-Identifier: MIT
 *
 * Shares are kept only while something is taken of them: there are as many as there are messages in memory.
 */
#include "ingest_budget.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

struct budget_share {
	char kind; /* 'c'lient, 't'enant */
	uint8_t key[16];
	int64_t used;
	struct budget_share *next;
};

struct budget_payer
budget_payer_of(bool inside, const char *client_ip, const struct uuid *tenant)
{
	struct budget_payer p = {.inside = inside, .has_tenant = tenant != NULL};
	if (tenant != NULL)
		p.tenant = *tenant;
	if (inside)
		return p;
	if (inet_pton(AF_INET, client_ip, p.client) == 1) {
		p.has_client = true;
	} else if (inet_pton(AF_INET6, client_ip, p.client) == 1) {
		memset(p.client + 8, 0, 8);
		p.has_client = true;
	}
	return p;
}

static struct budget_share **
share_at(struct ingest_budget *b, char kind, const uint8_t key[16])
{
	uint64_t h = 14695981039346656037u ^ (uint64_t)kind; /* FNV-1a */
	for (int i = 0; i < 16; i++)
		h = (h ^ key[i]) * 1099511628211u;
	struct budget_share **at = &b->shares[(h ^ h >> 32) % BUDGET_BUCKETS];
	while (*at != NULL && ((*at)->kind != kind || memcmp((*at)->key, key, 16) != 0))
		at = &(*at)->next;
	return at;
}

static bool
share_take(struct ingest_budget *b, char kind, const uint8_t key[16], int64_t n)
{
	struct budget_share **at = share_at(b, kind, key);
	if (b->share > 0 && n > b->share - (*at != NULL ? (*at)->used : 0))
		return false;
	if (*at == NULL) {
		*at = calloc(1, sizeof(**at));
		if (*at == NULL)
			return false;
		(*at)->kind = kind;
		memcpy((*at)->key, key, 16);
	}
	(*at)->used += n;
	return true;
}

static void
share_give(struct ingest_budget *b, char kind, const uint8_t key[16], int64_t n)
{
	struct budget_share **at = share_at(b, kind, key), *s = *at;
	if (s == NULL)
		abort(); /* given back by somebody who never took */
	s->used -= n;
	if (s->used > 0)
		return;
	*at = s->next;
	free(s);
}

bool
budget_take(struct ingest_budget *b, const struct budget_payer *p, int64_t n)
{
	if (n == 0)
		return true;
	pthread_mutex_lock(&b->lock);
	bool ok = n <= b->limit - (p->inside ? 0 : b->reserve) - b->used;
	if (ok && p->has_client)
		ok = share_take(b, 'c', p->client, n);
	if (ok && p->has_tenant && !share_take(b, 't', p->tenant.b, n)) {
		if (p->has_client)
			share_give(b, 'c', p->client, n);
		ok = false;
	}
	if (ok)
		b->used += n;
	pthread_mutex_unlock(&b->lock);
	return ok;
}

void
budget_give(struct ingest_budget *b, const struct budget_payer *p, int64_t n)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&b->lock);
	b->used -= n;
	if (p->has_client)
		share_give(b, 'c', p->client, n);
	if (p->has_tenant)
		share_give(b, 't', p->tenant.b, n);
	pthread_mutex_unlock(&b->lock);
}
