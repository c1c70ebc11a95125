/* SPDX-License-Identifier: MIT
 *
 * One POST to an address that a stranger chose. No redirects, no proxy, no cookies, https (http where the guard says
 * so); the answer is read up to POST_ANSWER_MAX octets; one time limit over all. libcurl asks us for the socket of each
 * connection with the address it resolved (CURLOPT_OPENSOCKETFUNCTION), and there the guard judges: what was judged is
 * what is connected to, no second resolution lies between. A poster is of one thread and one webhook; it keeps its
 * connection between posts.
 */
#ifndef NOTIFY_POST_H
#define NOTIFY_POST_H

#include "core/bytes.h"
#include "core/rc.h"
#include "guard.h"

#define POST_ANSWER_MAX 1000
#define POST_ERROR_SIZE 96

enum post_outcome {
	POST_OK,     /* 2xx */
	POST_STATUS, /* another status */
	POST_TIMEOUT,
	POST_REFUSED, /* by the guard */
	POST_RESOLVE, /* the name leads nowhere; to people it looks like POST_REFUSED */
	POST_CONNECT,
	POST_TLS,
	POST_BROKEN,  /* no whole answer */
	POST_STOPPED, /* by post_stop(): as if it had not been tried */
};
const char *post_outcome_str(enum post_outcome o);

struct post_options {
	const struct guard *guard;
	const char *ca; /* PEM file; "": the system's */
	int64_t connect_ms, timeout_ms;
};
struct post_answer {
	enum post_outcome outcome;
	uint32_t status; /* 0: none came */
	bool whole;	 /* came to its end, or to as much as is read, in time */
	int64_t retry_after_s;
	uint32_t duration_ms;
	char error[POST_ERROR_SIZE]; /* "" for POST_OK */
	uint8_t body[POST_ANSWER_MAX];
	size_t n_body;
};

struct poster;

/* Once per process, before threads. */
enum rc post_init(struct err *e) MUST_CHECK;
/* From now on what is under way is given up within a second. */
void post_stop(void);
struct poster *poster_new(const struct post_options *o);
void poster_free(struct poster **p);
/* headers: "name: value" without line ends. */
void poster_send(struct poster *p, const char *url, const char *const *headers, size_t n, struct bytes body,
		 struct post_answer *out_r);

#endif
