/* SPDX-License-Identifier: MIT
 *
 * Domains that nobody here receives for, remembered for a few seconds, so that whoever tries to relay through us does
 * not keep auth busy. Domains that are somebody's are asked for each mail: with auth away nothing is accepted.
 * Thread-safe.
 */
#ifndef INGEST_STRANGERS_H
#define INGEST_STRANGERS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bytes.h"

#define STRANGERS_KEEP_MS 5000

struct strangers;
struct strangers *strangers_new(void);
void strangers_free(struct strangers **s);
/* domain in any case. */
bool strangers_has(struct strangers *s, struct bytes domain, int64_t now_ms);
void strangers_add(struct strangers *s, struct bytes domain, int64_t now_ms);

#endif
