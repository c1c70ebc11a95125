/* SPDX-License-Identifier: MIT
 *
 * A line is built in memory and leaves by one write(2), so lines of several threads never mix.
 */
#include "core/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/clock.h"

static const char *service_name = "sekisho";
static enum log_level least_level = LOG_LEVEL_INFO;

static const struct {
	const char *name;
	const char *severity;
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"debug", "DEBUG"},
    [LOG_LEVEL_INFO] = {"info", "INFO"},
    [LOG_LEVEL_WARN] = {"warn", "WARN"},
    [LOG_LEVEL_ERROR] = {"error", "ERROR"},
};

void
log_init(const char *service, enum log_level least)
{
	service_name = service;
	least_level = least;
}

enum rc
log_level_parse(const char *s, enum log_level *out_r)
{
	for (size_t i = 0; s != NULL && i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(levels[i].name, s) == 0) {
			*out_r = (enum log_level)i;
			return RC_OK;
		}
	return RC_INVALID;
}

static void
add_value(struct buf *line, const struct log_field *f)
{
	char text[UUID_STR_SIZE];
	switch (f->type) {
	case LOG_T_STR:
		buf_add_json(line, bytes_str(f->s));
		break;
	case LOG_T_INT:
		buf_addf(line, "%lld", (long long)f->i);
		break;
	case LOG_T_UUID:
		uuid_format(f->u, text);
		buf_addf(line, "\"%s\"", text);
		break;
	case LOG_T_TRACE:
		traceparent_trace_id(f->s, text);
		buf_addf(line, "\"%s\"", text);
		break;
	}
}

void
log_write(enum log_level level, const char *body, const struct log_field *fields)
{
	if (level < least_level)
		return;
	struct buf line;
	buf_init(&line, 64 * 1024);
	buf_add_str(&line, "{");
	/* People grep for a message first: its id leads the line. */
	for (const struct log_field *f = fields; f->key != NULL; f++)
		if (strcmp(f->key, "sekisho.message") == 0) {
			buf_add_str(&line, "\"sekisho.message\":");
			add_value(&line, f);
			buf_add_str(&line, ",");
		}
	char now[CLOCK_RFC3339_SIZE];
	clock_rfc3339(clock_wall_us(), now);
	buf_addf(&line, "\"timestamp\":\"%s\",\"severity_text\":\"%s\",\"service.name\":\"%s\",\"body\":", now,
		 levels[level].severity, service_name);
	buf_add_json(&line, bytes_str(body));
	for (const struct log_field *f = fields; f->key != NULL; f++) {
		if (strcmp(f->key, "sekisho.message") == 0)
			continue;
		buf_add_str(&line, ",");
		buf_add_json(&line, bytes_str(f->key));
		buf_add_str(&line, ":");
		add_value(&line, f);
	}
	buf_add_str(&line, "}\n");
	for (size_t at = 0; buf_ok(&line) && at < line.n;) {
		ssize_t n = write(STDOUT_FILENO, line.p + at, line.n - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* a log that cannot be written must not stop mail */
		at += (size_t)n;
	}
	buf_done(&line);
}
