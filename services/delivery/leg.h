/* SPDX-License-Identifier: MIT
 *
 * The states of a leg (one recipient of one message) and how they may change: legs.def as functions. Pure.
 */
#ifndef DELIVERY_LEG_H
#define DELIVERY_LEG_H

#include <stdbool.h>

#include "core/rc.h"

enum leg_state {
#define LEG_STATE(c, name, kind, text) LEG_##c,
#include "legs.def"
	LEG_STATES
};
enum leg_event {
#define LEG_EVENT(c, name, text) LEG_ON_##c,
#include "legs.def"
	LEG_EVENTS
};
/* Who causes it; bits. */
enum leg_who { LEG_BY_SCHEDULER = 1, LEG_BY_WORKER = 2, LEG_BY_OPERATOR = 4 };

const char *leg_state_str(enum leg_state s);
const char *leg_event_str(enum leg_event v);
bool leg_state_parse(const char *name, enum leg_state *out_r) MUST_CHECK;
bool leg_is_final(enum leg_state s);
bool leg_is_initial(enum leg_state s);
/* The state after event, caused by exactly one who; false: no such move, *next_r untouched. */
bool leg_next(enum leg_state s, enum leg_event v, enum leg_who who, enum leg_state *next_r) MUST_CHECK;

#endif
