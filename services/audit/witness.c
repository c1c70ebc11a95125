/* SPDX-License-Identifier: MIT
 *
 * The witness: whoever keeps our heads for us, at a URL that takes each as the body of a POST. Per log only the newest
 * one waits: a newer head says all that an older one did. Own thread; tries again until it is taken.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <uthash.h>

#include "audit.h"
#include "core/clock.h"
#include "core/log.h"

#define TRY_AGAIN_FIRST_MS 1000
#define TRY_AGAIN_MOST_MS  60000
#define POST_LIMIT_MS	   10000L

struct waiting {
	struct uuid tenant;
	size_t n;
	char note[NOTE_MAX];
	uint64_t number; /* counts offers */
	UT_hash_handle hh;
};

static struct {
	pthread_t thread;
	bool running, stop;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct waiting *heads;
	uint64_t offers;
} witness = {.lock = PTHREAD_MUTEX_INITIALIZER};

void
witness_offer(const struct uuid *tenant, struct bytes note)
{
	if (!witness.running || note.n > NOTE_MAX)
		return;
	pthread_mutex_lock(&witness.lock);
	struct waiting *w;
	HASH_FIND(hh, witness.heads, tenant, sizeof(*tenant), w);
	if (w == NULL) {
		w = calloc(1, sizeof(*w));
		if (w == NULL)
			abort();
		w->tenant = *tenant;
		HASH_ADD(hh, witness.heads, tenant, sizeof(w->tenant), w);
	}
	memcpy(w->note, note.p, note.n);
	w->n = note.n;
	w->number = ++witness.offers;
	pthread_cond_signal(&witness.wake);
	pthread_mutex_unlock(&witness.lock);
}

static size_t
ignore_answer(char *p, size_t size, size_t n, void *ctx)
{
	return size * n;
}

static bool
post(CURL *c, const struct waiting *w)
{
	char why[CURL_ERROR_SIZE] = "";
	long status = 0;
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: text/plain; charset=utf-8");
	curl_easy_reset(c);
	curl_easy_setopt(c, CURLOPT_URL, audit.config.witness);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, POST_LIMIT_MS);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, w->note);
	curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)w->n);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, ignore_answer);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	if (audit.config.witness_ca[0] != 0)
		curl_easy_setopt(c, CURLOPT_CAINFO, audit.config.witness_ca);
	CURLcode rc = curl_easy_perform(c);
	if (rc == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	if (rc == CURLE_OK && status / 100 == 2)
		return true;
	metric_add(&audit_metric_failures, FAILED_WITNESS, 1);
	log_warn("the witness did not take a head", LOG_TENANT(&w->tenant), LOG_INT("http.status", status),
		 LOG_STR("error", rc == CURLE_OK ? ""
				  : why[0] != 0	 ? why
						 : curl_easy_strerror(rc)));
	return false;
}

static void *
witness_main(void *arg)
{
	CURL *c = curl_easy_init();
	int64_t pause_ms = TRY_AGAIN_FIRST_MS;
	if (c == NULL)
		abort();
	pthread_mutex_lock(&witness.lock);
	while (!witness.stop) {
		if (witness.heads == NULL) {
			pthread_cond_wait(&witness.wake, &witness.lock);
			continue;
		}
		struct waiting w = *witness.heads, *now;
		pthread_mutex_unlock(&witness.lock);
		bool taken = post(c, &w);
		pthread_mutex_lock(&witness.lock);
		HASH_FIND(hh, witness.heads, &w.tenant, sizeof(w.tenant), now);
		if (taken) {
			pause_ms = TRY_AGAIN_FIRST_MS;
			if (now->number == w.number) {
				HASH_DEL(witness.heads, now);
				free(now);
			}
			continue;
		}
		/* To the end of the line, so that one bad head does not hold up the others. */
		HASH_DEL(witness.heads, now);
		HASH_ADD(hh, witness.heads, tenant, sizeof(now->tenant), now);
		int64_t at = clock_mono_ms() + pause_ms;
		struct timespec until = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
		while (!witness.stop && pthread_cond_timedwait(&witness.wake, &witness.lock, &until) != ETIMEDOUT)
			;
		pause_ms = pause_ms * 2 < TRY_AGAIN_MOST_MS ? pause_ms * 2 : TRY_AGAIN_MOST_MS;
	}
	pthread_mutex_unlock(&witness.lock);
	curl_easy_cleanup(c);
	return NULL;
}

/* https anywhere; http on this machine only. */
static bool
url_fits(const char *url)
{
	static const char *const good[] = {"https://",		"http://127.0.0.1:", "http://127.0.0.1/",
					   "http://localhost:", "http://localhost/", "http://[::1]:"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (strncmp(url, good[i], strlen(good[i])) == 0 && strchr(url, '@') == NULL)
			return true;
	return false;
}

enum rc
witness_start(struct err *e)
{
	if (audit.config.witness[0] == 0)
		return RC_OK;
	if (!url_fits(audit.config.witness))
		return err_set(e, RC_INVALID, "SEKISHO_AUDIT_WITNESS is neither https nor on this machine");
	pthread_condattr_t ca;
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&witness.wake, &ca);
	pthread_condattr_destroy(&ca);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    pthread_create(&witness.thread, NULL, witness_main, NULL) != 0)
		return err_set(e, RC_INTERNAL, "no thread for the witness");
	witness.running = true;
	return RC_OK;
}

void
witness_stop(void)
{
	if (!witness.running)
		return;
	pthread_mutex_lock(&witness.lock);
	witness.stop = true;
	pthread_cond_signal(&witness.wake);
	pthread_mutex_unlock(&witness.lock);
	pthread_join(witness.thread, NULL);
	witness.running = false;
}
