/* SPDX-License-Identifier: MIT
 *
 * What follows from an attempt: the next event, a wait on the ladder, the event put aside, or the end of the webhook.
 * A webhook sends in the order of the log and one event at a time, so its state is small: how often the event it stands
 * at was tried, and since when nothing went well. Pure: time and chance are arguments.
 */
#ifndef NOTIFY_COURSE_H
#define NOTIFY_COURSE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rc.h"

#define COURSE_STEPS_MAX 20

struct course_ladder {
	int64_t wait_ms[COURSE_STEPS_MAX]; /* after the first, second, ... failed attempt; the attempt after the last is
					      the event's last */
	uint32_t n;
	int64_t disable_ms; /* so long nothing went well: the webhook is disabled */
};
/* "5s,5m,30m,2h". */
enum rc course_ladder_parse(const char *text, int64_t disable_ms, struct course_ladder *out_r,
			    struct err *e) MUST_CHECK;

struct course_state {
	uint32_t attempts;	  /* of the event it stands at */
	int64_t failing_since_us; /* 0: the last attempt went well, or there was none */
};
/* What came of an attempt. */
struct course_result {
	uint32_t status;       /* HTTP; 0: no answer */
	bool whole;	       /* the answer came to its end (or to as much as is read) in time */
	int64_t retry_after_s; /* of the answer; 0: none */
};
enum course_what {
	COURSE_NEXT,	/* it arrived */
	COURSE_WAIT,	/* again at due_us */
	COURSE_ASIDE,	/* given up: the event after it is next, at once */
	COURSE_DISABLE, /* no more attempts; the webhook stands where it stood */
};
const char *course_what_str(enum course_what w);
struct course_step {
	enum course_what what;
	int64_t due_us;
	bool gone; /* COURSE_DISABLE because the answer was 410 */
};
bool course_arrived(const struct course_result *r); /* 2xx, whole */
/* Moves state on. chance: 0..1000, spreads the waits of many by up to a fifth. */
struct course_step course_after(const struct course_ladder *l, struct course_state *state,
				const struct course_result *r, int64_t now_us, unsigned chance);

#endif
