/* SPDX-License-Identifier: MIT
 *
 * The table of legs against the design, written down a second time and by hand: every state, every event, every who.
 */
#include "leg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S LEG_BY_SCHEDULER
#define W LEG_BY_WORKER
#define O LEG_BY_OPERATOR

/* "state event next" and who; everything that is not here must be refused. */
static const struct {
	const char *state, *event, *next;
	unsigned who;
} design[] = {
    {"held", "timer", "queued", S},
    {"held", "release", "queued", O},
    {"held", "discard", "discarded", O},
    {"held", "expire", "expired", S},
    {"queued", "claim", "sending", S},
    {"queued", "discard", "discarded", O},
    {"queued", "expire", "expired", S},
    {"sending", "accept", "delivered", W},
    {"sending", "defer", "deferred", W},
    {"sending", "bounce", "bounced", W},
    {"sending", "lose", "uncertain", S | W},
    {"sending", "give_back", "queued", W},
    {"sending", "park", "held", W},
    {"deferred", "retry", "queued", S},
    {"deferred", "release", "queued", O},
    {"deferred", "discard", "discarded", O},
    {"deferred", "expire", "expired", S},
    {"uncertain", "retry", "queued", S},
    {"uncertain", "release", "queued", O},
    {"uncertain", "accept", "delivered", W},
    {"uncertain", "discard", "discarded", O},
    {"quarantined", "release", "queued", O},
    {"quarantined", "discard", "discarded", O},
};

static void
every_move(void **state)
{
	size_t allowed = 0;
	for (int s = 0; s < LEG_STATES; s++)
		for (int v = 0; v < LEG_EVENTS; v++)
			for (unsigned who = S; who <= O; who <<= 1) {
				const char *want = NULL;
				enum leg_state next = LEG_STATES;
				for (size_t i = 0; i < sizeof(design) / sizeof(design[0]); i++)
					if (strcmp(design[i].state, leg_state_str((enum leg_state)s)) == 0 &&
					    strcmp(design[i].event, leg_event_str((enum leg_event)v)) == 0 &&
					    (design[i].who & who) != 0)
						want = design[i].next;
				bool may = leg_next((enum leg_state)s, (enum leg_event)v, (enum leg_who)who, &next);
				if (may != (want != NULL))
					fail_msg("%s %s by %u", leg_state_str((enum leg_state)s),
						 leg_event_str((enum leg_event)v), who);
				if (want != NULL)
					assert_string_equal(leg_state_str(next), want);
				else
					assert_int_equal(next, LEG_STATES);
				allowed += may;
			}
	assert_int_equal(allowed, sizeof(design) / sizeof(design[0]) + 1); /* one move has two who */
}

static void
final_is_the_end(void **state)
{
	enum leg_state next;
	for (int s = 0; s < LEG_STATES; s++) {
		bool moves = false;
		for (int v = 0; v < LEG_EVENTS; v++)
			for (unsigned who = S; who <= O; who <<= 1)
				moves |= leg_next((enum leg_state)s, (enum leg_event)v, (enum leg_who)who, &next);
		assert_int_equal(moves, !leg_is_final((enum leg_state)s));
	}
}

/* From every open state somebody can bring it to an end; every state but `refused` is reached from the initial ones. */
static void
nothing_is_stuck(void **state)
{
	bool ends[LEG_STATES] = {0}, reached[LEG_STATES] = {0};
	for (int s = 0; s < LEG_STATES; s++) {
		ends[s] = leg_is_final((enum leg_state)s);
		reached[s] = leg_is_initial((enum leg_state)s);
	}
	for (int round = 0; round < LEG_STATES; round++)
		for (int s = 0; s < LEG_STATES; s++)
			for (int v = 0; v < LEG_EVENTS; v++)
				for (unsigned who = S; who <= O; who <<= 1) {
					enum leg_state next;
					if (!leg_next((enum leg_state)s, (enum leg_event)v, (enum leg_who)who, &next))
						continue;
					ends[s] |= ends[next];
					reached[next] |= reached[s];
				}
	for (int s = 0; s < LEG_STATES; s++) {
		assert_true(ends[s]);
		assert_true(reached[s]);
	}
}

static void
names(void **state)
{
	for (int s = 0; s < LEG_STATES; s++) {
		enum leg_state back;
		assert_true(leg_state_parse(leg_state_str((enum leg_state)s), &back));
		assert_int_equal(back, s);
	}
	enum leg_state untouched = LEG_HELD;
	assert_false(leg_state_parse("Held", &untouched));
	assert_false(leg_state_parse("", &untouched));
	assert_false(leg_state_parse(NULL, &untouched));
	assert_int_equal(untouched, LEG_HELD);
}

static void
out_of_range(void **state)
{
	enum leg_state next = LEG_HELD;
	assert_false(leg_next(LEG_STATES, LEG_ON_CLAIM, LEG_BY_SCHEDULER, &next));
	assert_false(leg_next(LEG_QUEUED, LEG_EVENTS, LEG_BY_SCHEDULER, &next));
	assert_false(leg_next((enum leg_state) - 1, LEG_ON_CLAIM, LEG_BY_SCHEDULER, &next));
	assert_false(leg_is_final(LEG_STATES));
	assert_string_equal(leg_state_str(LEG_STATES), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_move), cmocka_unit_test(final_is_the_end), cmocka_unit_test(nothing_is_stuck),
	    cmocka_unit_test(names),	  cmocka_unit_test(out_of_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
