/* SPDX-License-Identifier: MIT
 *
 * One list in order of arrival. What is under way is at most one entry per thread, so it is simply looked through.
 */
#include "ingest_logins.h"

#include <stdlib.h>

#include "crypt/crypt.h"

struct who {
	struct budget_payer client;
	uint8_t name[32]; /* hashed */
};

struct waiting {
	struct ask *ask;
	struct who who;
	uint64_t turn; /* lowest first: a client's questions are one turn apart, however many it has */
	struct waiting *next;
};

struct logins {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct waiting *waiting, **tail; /* in order of arrival */
	uint64_t turn;
	bool ending;
	void (*run)(void *ctx, struct ask *a);
	void *ctx;
	int n_threads;
	struct waiting **under_way; /* one per thread */
	pthread_t threads[];
};

struct thread {
	struct logins *logins;
	int number;
};

/* Names in any case are one login. */
static struct who
who_asks(const struct ask *a)
{
	struct who w = {.client = budget_payer_of(false, a->client_ip, NULL)};
	struct buf name;
	buf_init(&name, 0);
	buf_add_bytes(&name, a->name);
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] >= 'A' && name.p[i] <= 'Z')
			name.p[i] |= 0x20;
	crypt_sha256(buf_bytes(&name), w.name);
	buf_done(&name);
	return w;
}

static bool
same_client(const struct who *a, const struct who *b)
{
	return a->client.has_client && b->client.has_client &&
	       memcmp(a->client.client, b->client.client, sizeof(a->client.client)) == 0;
}

static bool
may_run(const struct logins *l, const struct who *w)
{
	int client = 0, name = 0;
	for (int i = 0; i < l->n_threads; i++) {
		if (l->under_way[i] == NULL)
			continue;
		client += same_client(&l->under_way[i]->who, w);
		name += memcmp(l->under_way[i]->who.name, w->name, sizeof(w->name)) == 0;
	}
	return client < LOGINS_PER_CLIENT && name < LOGINS_PER_NAME;
}

static struct waiting *
take(struct logins *l)
{
	struct waiting **best = NULL;
	for (struct waiting **at = &l->waiting; *at != NULL; at = &(*at)->next)
		if ((best == NULL || (*at)->turn < (*best)->turn) && may_run(l, &(*at)->who))
			best = at;
	if (best == NULL)
		return NULL;
	struct waiting *w = *best;
	*best = w->next;
	if (*best == NULL)
		l->tail = best;
	if (w->turn > l->turn)
		l->turn = w->turn;
	return w;
}

static void *
work(void *arg)
{
	struct thread *t = arg;
	struct logins *l = t->logins;
	struct waiting **mine = &l->under_way[t->number];
	free(t);
	pthread_mutex_lock(&l->lock);
	for (;;) {
		struct waiting *w = take(l);
		if (w == NULL && l->ending && l->waiting == NULL)
			break;
		if (w == NULL) {
			pthread_cond_wait(&l->work, &l->lock);
			continue;
		}
		*mine = w;
		pthread_mutex_unlock(&l->lock);
		l->run(l->ctx, w->ask);
		pthread_mutex_lock(&l->lock);
		*mine = NULL;
		free(w);
		pthread_cond_broadcast(&l->work); /* somebody may have waited for just this one's end */
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

struct logins *
logins_new(int threads, void (*run)(void *ctx, struct ask *a), void *ctx)
{
	struct logins *l = calloc(1, sizeof(*l) + (size_t)threads * sizeof(l->threads[0]));
	if (l == NULL || (l->under_way = calloc((size_t)threads, sizeof(*l->under_way))) == NULL)
		abort();
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->work, NULL);
	l->tail = &l->waiting;
	l->run = run;
	l->ctx = ctx;
	l->n_threads = threads;
	for (int i = 0; i < threads; i++) {
		struct thread *t = malloc(sizeof(*t));
		if (t == NULL)
			abort();
		*t = (struct thread){l, i};
		if (pthread_create(&l->threads[i], NULL, work, t) != 0)
			abort();
	}
	return l;
}

void
logins_free(struct logins **lp)
{
	struct logins *l = *lp;
	if (l == NULL)
		return;
	*lp = NULL;
	pthread_mutex_lock(&l->lock);
	l->ending = true;
	pthread_cond_broadcast(&l->work);
	pthread_mutex_unlock(&l->lock);
	for (int i = 0; i < l->n_threads; i++)
		pthread_join(l->threads[i], NULL);
	pthread_cond_destroy(&l->work);
	pthread_mutex_destroy(&l->lock);
	free(l->under_way);
	free(l);
}

void
logins_put(struct logins *l, struct ask *a)
{
	struct waiting *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	w->ask = a;
	w->who = who_asks(a);
	pthread_mutex_lock(&l->lock);
	w->turn = l->turn;
	for (const struct waiting *k = l->waiting; k != NULL; k = k->next)
		if (k->turn > w->turn && same_client(&k->who, &w->who))
			w->turn = k->turn;
	w->turn++;
	*l->tail = w;
	l->tail = &w->next;
	pthread_cond_signal(&l->work);
	pthread_mutex_unlock(&l->lock);
}
