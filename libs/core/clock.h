/* SPDX-License-Identifier: MIT
 *
 * Time. Wall time is microseconds since 1970-01-01 UTC (as PostgreSQL keeps it), used for what is stored and shown.
 * Monotonic time is milliseconds from an arbitrary start, used for deadlines. Never mix them.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdint.h>
#include <stddef.h>

int64_t clock_wall_us(void);
int64_t clock_mono_ms(void);
/* Milliseconds left until a monotonic deadline, never negative. */
int64_t clock_left_ms(int64_t deadline_ms);
/* RFC 3339 in UTC with microseconds ("2026-11-22T03:04:05.678901Z", 27 characters and NUL). */
#define CLOCK_RFC3339_SIZE 28
void clock_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_SIZE]);
/* RFC 5322 date-time in UTC ("Sun, 22 Nov 2026 03:04:05 +0000"), for Date and Received. */
#define CLOCK_RFC5322_SIZE 32
void clock_rfc5322(int64_t wall_us, char out[CLOCK_RFC5322_SIZE]);

#endif
