/* SPDX-License-Identifier: MIT
 *
 * legs.def as tables. Read-only after compilation.
 */
#include "leg.h"

#include <stddef.h>
#include <string.h>

enum kind { OPEN, FINAL };
#define SCHEDULER LEG_BY_SCHEDULER
#define WORKER	  LEG_BY_WORKER
#define OPERATOR  LEG_BY_OPERATOR

static const struct {
	const char *name;
	enum kind kind;
} states[LEG_STATES] = {
#define LEG_STATE(c, name, kind, text) [LEG_##c] = {#name, kind},
#include "legs.def"
};

static const char *const events[LEG_EVENTS] = {
#define LEG_EVENT(c, name, text) [LEG_ON_##c] = #name,
#include "legs.def"
};

static const bool initial[LEG_STATES] = {
#define LEG_INITIAL(c) [LEG_##c] = true,
#include "legs.def"
};

static const struct {
	unsigned who;
	enum leg_state next;
} moves[LEG_STATES][LEG_EVENTS] = {
#define LEG_MOVE(state, event, next, who) [LEG_##state][LEG_ON_##event] = {who, LEG_##next},
#include "legs.def"
};

const char *
leg_state_str(enum leg_state s)
{
	return (unsigned)s < LEG_STATES ? states[s].name : "unknown";
}

const char *
leg_event_str(enum leg_event v)
{
	return (unsigned)v < LEG_EVENTS ? events[v] : "unknown";
}

bool
leg_state_parse(const char *name, enum leg_state *out_r)
{
	for (int i = 0; name != NULL && i < LEG_STATES; i++)
		if (strcmp(states[i].name, name) == 0) {
			*out_r = (enum leg_state)i;
			return true;
		}
	return false;
}

bool
leg_is_final(enum leg_state s)
{
	return (unsigned)s < LEG_STATES && states[s].kind == FINAL;
}

bool
leg_is_initial(enum leg_state s)
{
	return (unsigned)s < LEG_STATES && initial[s];
}

bool
leg_next(enum leg_state s, enum leg_event v, enum leg_who who, enum leg_state *next_r)
{
	if ((unsigned)s >= LEG_STATES || (unsigned)v >= LEG_EVENTS || (moves[s][v].who & (unsigned)who) == 0)
		return false;
	*next_r = moves[s][v].next;
	return true;
}
