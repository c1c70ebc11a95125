/* SPDX-License-Identifier: MIT
 *
 * Log lines: one JSON object per line on standard output, OpenTelemetry names, the message id first. No addresses,
 * bodies, subjects or tokens ever. Library code does not log errors; the caller that handles them does. Thread-safe.
 *
 *   log_info("mail accepted", LOG_MESSAGE(&id), LOG_TENANT(&tenant), LOG_INT("size", n));
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdint.h>

#include "core/id.h"
#include "core/rc.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_field {
	const char *key; /* NULL ends the list */
	enum { LOG_T_STR, LOG_T_INT, LOG_T_UUID, LOG_T_TRACE } type;
	const char *s;
	int64_t i;
	const struct uuid *u;
};

#define LOG_STR(k, v)  ((struct log_field){.key = (k), .type = LOG_T_STR, .s = (v)})
#define LOG_INT(k, v)  ((struct log_field){.key = (k), .type = LOG_T_INT, .i = (int64_t)(v)})
#define LOG_UUID(k, v) ((struct log_field){.key = (k), .type = LOG_T_UUID, .u = (v)})
#define LOG_MESSAGE(v) LOG_UUID("sekisho.message", (v))
#define LOG_TENANT(v)  LOG_UUID("sekisho.tenant", (v))
#define LOG_TRACE(v)   ((struct log_field){.key = "trace_id", .type = LOG_T_TRACE, .s = (v)})
#define LOG_RC(v)      LOG_STR("rc", rc_str(v))
#define LOG_ERR(e)     LOG_STR("error", (e)->text), LOG_STR("code.file", (e)->file), LOG_INT("code.line", (e)->line)

/* Once, before threads start. service is kept, not copied. */
void log_init(const char *service, enum log_level least);
enum rc log_level_parse(const char *s, enum log_level *out_r) MUST_CHECK;
void log_write(enum log_level level, const char *body, const struct log_field *fields);

#define LOG_FIELDS(...)	     ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})
#define log_debug(body, ...) log_write(LOG_LEVEL_DEBUG, body, LOG_FIELDS(__VA_ARGS__))
#define log_info(body, ...)  log_write(LOG_LEVEL_INFO, body, LOG_FIELDS(__VA_ARGS__))
#define log_warn(body, ...)  log_write(LOG_LEVEL_WARN, body, LOG_FIELDS(__VA_ARGS__))
#define log_error(body, ...) log_write(LOG_LEVEL_ERROR, body, LOG_FIELDS(__VA_ARGS__))

#endif
