/* SPDX-License-Identifier: MIT
 *
 * Messages (tenant and SHA-256) the scanner failed on too often: kept in memory so that they are not tried again. The
 * count itself is in the database. Thread-safe.
 */
#ifndef INGEST_POISON_H
#define INGEST_POISON_H

#include <stdbool.h>

#include "core/id.h"
#include "core/rc.h"

#define POISON_KEEP_MS 3600000

struct poison;
struct poison *poison_new(void);
void poison_free(struct poison **p);
bool poison_has(struct poison *p, const struct uuid *tenant, const uint8_t sha256[32], int64_t now_ms);
/* The oldest is forgotten when there are too many; each after POISON_KEEP_MS. */
void poison_add(struct poison *p, const struct uuid *tenant, const uint8_t sha256[32], int64_t now_ms);
/* The scanner was too slow on this message. True: on no other lately, so that it may be the message's fault; else it is
 * the scanner that has too much to do. */
bool poison_slow_alone(struct poison *p, const struct uuid *tenant, const uint8_t sha256[32], int64_t now_ms,
		       int64_t lately_ms) MUST_CHECK;

#endif
