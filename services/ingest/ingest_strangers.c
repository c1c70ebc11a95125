/* SPDX-License-Identifier: MIT
 *
 * A direct-mapped table: a domain that meets another in its place simply takes it.
 */
#include "ingest_strangers.h"

#include <pthread.h>
#include <stdlib.h>

#include "smtp/address.h"

#define PLACES 1024

struct strangers {
	pthread_mutex_t lock;
	struct {
		char domain[SMTP_ASCII_DOMAIN_SIZE];
		int64_t until_ms;
	} places[PLACES];
};

struct strangers *
strangers_new(void)
{
	struct strangers *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
strangers_free(struct strangers **s)
{
	free(*s);
	*s = NULL;
}

static size_t
place_of(const char *name)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */
	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return (h ^ h >> 32) % PLACES;
}

bool
strangers_has(struct strangers *s, struct bytes domain, int64_t now_ms)
{
	char name[SMTP_ASCII_DOMAIN_SIZE];
	if (smtp_domain_ascii(domain, name, NULL) != RC_OK)
		return true;
	size_t i = place_of(name);
	pthread_mutex_lock(&s->lock);
	bool has = strcmp(s->places[i].domain, name) == 0 && s->places[i].until_ms > now_ms;
	pthread_mutex_unlock(&s->lock);
	return has;
}

void
strangers_add(struct strangers *s, struct bytes domain, int64_t now_ms)
{
	char name[SMTP_ASCII_DOMAIN_SIZE];
	if (smtp_domain_ascii(domain, name, NULL) != RC_OK)
		return;
	size_t i = place_of(name);
	pthread_mutex_lock(&s->lock);
	memcpy(s->places[i].domain, name, strlen(name) + 1);
	s->places[i].until_ms = now_ms + STRANGERS_KEEP_MS;
	pthread_mutex_unlock(&s->lock);
}
