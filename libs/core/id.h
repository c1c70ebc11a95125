/* SPDX-License-Identifier: MIT
 *
 * Identifiers. Everything stored is named by a UUID version 7 (RFC 9562): its first 48 bits are the Unix time in
 * milliseconds, so ids sort by time and a table is partitioned by ranges of its id (docs/decisions/0002).
 * Trace ids follow W3C Trace Context: "00-<32 hex>-<16 hex>-01", 55 characters.
 */
#ifndef CORE_ID_H
#define CORE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rc.h"

struct uuid {
	uint8_t b[16];
};
#define UUID_STR_SIZE	 37
#define TRACEPARENT_SIZE 56

struct uuid uuid_v7(int64_t wall_us);
/* The smallest id of that instant, for partition bounds. */
struct uuid uuid_v7_floor(int64_t wall_us);
/* The instant inside a version 7 id, to the millisecond. */
int64_t uuid_time_us(const struct uuid *u);
void uuid_format(const struct uuid *u, char out[UUID_STR_SIZE]);
/* Exactly 36 characters, hex and dashes; any version. */
bool uuid_parse(const char *s, struct uuid *out_r) MUST_CHECK;
bool uuid_eq(const struct uuid *a, const struct uuid *b);
bool uuid_is_nil(const struct uuid *u);

void traceparent_new(char out[TRACEPARENT_SIZE]);
/* Same trace, new span. An invalid parent starts a new trace. */
void traceparent_child(const char *parent, char out[TRACEPARENT_SIZE]);
bool traceparent_valid(const char *s);
/* 16 bytes of the trace id, as shown to people (32 hex digits and NUL). */
void traceparent_trace_id(const char *s, char out[33]);

/* Bytes from the kernel's generator; aborts if it fails. */
void random_bytes(void *p, unsigned long n);

#endif
