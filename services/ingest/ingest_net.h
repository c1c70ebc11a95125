/* SPDX-License-Identifier: MIT
 *
 * The network side: listeners and one event loop on a thread of its own. SMTP input and output only; whatever may block
 * is done by the pipeline.
 */
#ifndef INGEST_NET_H
#define INGEST_NET_H

#include "ingest.h"

struct net;
/* Binds. RC_INVALID when an address, a certificate or a list in the configuration cannot be used. */
enum rc net_new(struct ingest *in, struct net **out_r, struct err *e) MUST_CHECK;
void net_start(struct net *n);
/* A question is answered; any thread. */
void net_done(void *net, struct ask *a);
/* No new connections; returns when those with a mail under way have ended, or after wait_ms. */
void net_drain(struct net *n, int64_t wait_ms);
/* The loop has ended and every connection is closed: whoever still works on a question finds it gone. net_done() may
 * be called until net_free(). */
void net_stop(struct net *n);
void net_free(struct net **n);

#endif
