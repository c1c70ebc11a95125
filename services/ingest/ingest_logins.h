/* SPDX-License-Identifier: MIT
 *
 * Passwords waiting to be checked. A check is made to cost much, so logins have threads of their own: nobody's guesses
 * hold up RCPT or another's login. Of one client address (IPv6: a /64) and of one login only so many are checked at a
 * time, and clients take turns. Thread-safe.
 */
#ifndef INGEST_LOGINS_H
#define INGEST_LOGINS_H

#include "ingest_envelope.h"

#define LOGINS_PER_CLIENT 2
#define LOGINS_PER_NAME	  2

struct logins;
/* run owns the question. */
struct logins *logins_new(int threads, void (*run)(void *ctx, struct ask *a), void *ctx);
/* Runs what is waiting, then ends the threads. */
void logins_free(struct logins **l);
void logins_put(struct logins *l, struct ask *a);

#endif
