/* SPDX-License-Identifier: MIT
 *
 * sekisho events: the tenant's events as they happen. A lost connection is made again, exactly behind the last event
 * that was printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "sse.h"
#include "term.h"

#define WAIT_MAX_S 30 /* between two tries */

struct watching {
	struct cli *c;
	struct sse sse;
	json_int_t left;    /* events still wanted; -1: no bound */
	bool enough, wrong; /* wrong: the stream cannot be read */
	bool unwritable;    /* standard output is gone */
};

static void
print_line(struct cli *c, const json_t *data)
{
	static const struct cli_column subject = {"", "subject", CLI_TEXT}, number = {"", "recipient", CLI_NUMBER},
				       detail = {"", "data", CLI_JSON}, position = {"", "position", CLI_NUMBER};
	const char *parts[] = {cli_time(c, data, "timestamp"), cli_cell(c, data, &position),
			       cli_str(data, "type"),	       cli_cell(c, data, &subject),
			       cli_cell(c, data, &number),     cli_cell(c, data, &detail)};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		printf("%s%s", i > 0 ? "  " : "", parts[i][0] != '\0' ? term_safe(c->arena, bytes_str(parts[i])) : "-");
	putchar('\n');
}

static bool
on_event(void *ctx, const struct sse_event *e)
{
	struct watching *w = ctx;
	struct cli c = *w->c;
	json_t *data = json_loadb((const char *)e->data.p, e->data.n, JSON_REJECT_DUPLICATES, NULL);
	if (data == NULL) {
		cli_error("an event that is no JSON was left out (id %s)", e->id);
		return true;
	}
	c.arena = arena_new(); /* this may go on for weeks */
	if (c.args.json) {
		char *text = json_dumps(data, JSON_COMPACT);
		struct cli_answer a = {.body = bytes_str(text)};
		(void)cli_print_json(&c, &a);
		free(text);
	} else {
		print_line(&c, data);
	}
	json_decref(data);
	arena_free(&c.arena);
	w->unwritable = fflush(stdout) != 0;
	if (w->left > 0)
		w->left--;
	w->enough = w->left == 0 || w->unwritable;
	return !w->enough;
}

static bool
on_piece(void *ctx, struct bytes piece)
{
	struct watching *w = ctx;
	if (sse_feed(&w->sse, piece))
		return true;
	w->wrong = !w->enough;
	return false;
}

static const char *
events_path(struct cli *c)
{
	const char *types = "", *v;
	for (int at = 0; (v = cli_next_value(c, "--type", &at)) != NULL;)
		types = arena_printf(c->arena, "%s%s%s", types, types[0] != '\0' ? "," : "", v);
	return types[0] != '\0' ? cli_add_query(c, "/v1/events", "types", types) : "/v1/events";
}

/* One connection. CLI_OK: go on with another one, or enough. */
static int
watch_once(struct watching *w, const char *path, const char *after, struct cli_stream *s)
{
	struct cli *c = w->c;
	*s = (struct cli_stream){
	    .request = {.method = "GET", .path = path, .headers = {{"Accept", "text/event-stream"}}},
	    .on_body = on_piece,
	    .ctx = w,
	    .quiet = s->quiet};
	if (w->sse.id[0] != '\0')
		s->request.headers[1] = (struct cli_header){"Last-Event-ID", w->sse.id};
	else if (after != NULL)
		s->request.headers[1] = (struct cli_header){"Last-Event-ID", after};
	sse_restart(&w->sse);
	int code = cli_call_stream(c, s);
	if (w->wrong) {
		cli_error("the stream of events cannot be read");
		return CLI_FAILED;
	}
	if (w->unwritable)
		return CLI_FAILED;
	bool later = code == CLI_UNREACHABLE || s->status >= 500 || s->status == 429;
	return later && (s->quiet || s->answered) ? CLI_OK : code;
}

int
cmd_events(struct cli *c)
{
	struct watching w = {.c = c};
	const char *after = cli_value(c, "--after"), *path = events_path(c);
	if (!cli_number(c, "--count", -1, 1000000000, &w.left))
		return CLI_USAGE;
	if (w.left == 0)
		return CLI_OK;
	sse_init(&w.sse, on_event, &w);
	struct cli_stream s = {.quiet = false};
	int code, wait = 1;
	while ((code = watch_once(&w, path, after, &s)) == CLI_OK && !w.enough) {
		if (!s.quiet && !s.answered)
			break;
		wait = s.answered ? 1 : wait * 2 < WAIT_MAX_S ? wait * 2 : WAIT_MAX_S;
		struct timespec t = {.tv_sec = s.retry_after > wait ? s.retry_after : wait};
		if (s.answered && w.sse.retry_ms >= 100 && w.sse.retry_ms < WAIT_MAX_S * 1000)
			t = (struct timespec){w.sse.retry_ms / 1000, w.sse.retry_ms % 1000 * 1000000L};
		(void)nanosleep(&t, NULL);
		s.quiet = true;
	}
	sse_done(&w.sse);
	return code;
}
