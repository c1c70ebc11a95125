/* SPDX-License-Identifier: MIT
 *
 * The ladder.
 */
#include "course.h"

#include <stdio.h>
#include <string.h>

#include "core/config.h"

#define RETRY_AFTER_MAX_S 86400
#define GONE		  410
#define TOO_MANY	  429
#define UNAVAILABLE	  503

const char *
course_what_str(enum course_what w)
{
	switch (w) {
	case COURSE_NEXT:
		return "next";
	case COURSE_WAIT:
		return "wait";
	case COURSE_ASIDE:
		return "aside";
	case COURSE_DISABLE:
		return "disable";
	}
	return "unknown";
}

enum rc
course_ladder_parse(const char *text, int64_t disable_ms, struct course_ladder *out_r, struct err *e)
{
	struct course_ladder l = {.disable_ms = disable_ms};
	char word[24];
	for (const char *p = text; *p != '\0';) {
		size_t n = strcspn(p, ",");
		snprintf(word, sizeof(word), "%.*s", (int)(n < sizeof(word) ? n : 0), p);
		if (l.n == COURSE_STEPS_MAX || config_parse_duration(word, &l.wait_ms[l.n]) != RC_OK ||
		    l.wait_ms[l.n] <= 0)
			return err_set(e, RC_INVALID, "not a list of at most %d durations like \"5s,5m,1h\"",
				       COURSE_STEPS_MAX);
		l.n++;
		p += n + (p[n] == ',');
	}
	*out_r = l;
	return RC_OK;
}

bool
course_arrived(const struct course_result *r)
{
	return r->whole && r->status >= 200 && r->status <= 299;
}

static int64_t
wait_us(const struct course_ladder *l, uint32_t attempts, const struct course_result *r, unsigned chance)
{
	int64_t us = l->wait_ms[attempts - 1] * 1000, asked = r->retry_after_s;
	us += us / 5 * (int64_t)(chance > 1000 ? 1000 : chance) / 1000;
	if (r->status != TOO_MANY && r->status != UNAVAILABLE)
		asked = 0;
	if (asked > RETRY_AFTER_MAX_S)
		asked = RETRY_AFTER_MAX_S;
	return asked * 1000000 > us ? asked * 1000000 : us;
}

struct course_step
course_after(const struct course_ladder *l, struct course_state *state, const struct course_result *r, int64_t now_us,
	     unsigned chance)
{
	if (course_arrived(r)) {
		*state = (struct course_state){0};
		return (struct course_step){.what = COURSE_NEXT, .due_us = now_us};
	}
	state->attempts++;
	if (state->failing_since_us == 0)
		state->failing_since_us = now_us;
	if (r->status == GONE)
		return (struct course_step){.what = COURSE_DISABLE, .gone = true};
	if (now_us - state->failing_since_us >= l->disable_ms * 1000)
		return (struct course_step){.what = COURSE_DISABLE};
	if (state->attempts > l->n) {
		state->attempts = 0;
		return (struct course_step){.what = COURSE_ASIDE, .due_us = now_us};
	}
	return (struct course_step){.what = COURSE_WAIT, .due_us = now_us + wait_us(l, state->attempts, r, chance)};
}
