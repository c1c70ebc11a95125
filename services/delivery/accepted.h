/* SPDX-License-Identifier: MIT
 *
 * The event mail.accepted (proto/ingest.proto) as what the store takes. Pure.
 */
#ifndef DELIVERY_ACCEPTED_H
#define DELIVERY_ACCEPTED_H

#include "store.h"

#define ACCEPTED_RECIPIENTS_MAX 2000

/* Strict about the message: RC_INVALID names the first thing that is wrong (undecodable, no id, time and id apart, no
 * recipients or too many). A recipient that cannot be sent to is a leg all the same, with an empty domain: it bounces
 * alone. Unknown fields are skipped. Everything lies in a. */
enum rc accepted_decode(struct bytes payload, struct arena *a, struct store_arrival *out_r, struct err *e) MUST_CHECK;

#endif
