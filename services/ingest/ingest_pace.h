/* SPDX-License-Identifier: MIT
 *
 * How fast a message comes in: it has a deadline, and after the first stretch of time every further one must bring its
 * octets. Who sends one octet now and then to keep the memory of a large message is sent away. Pure.
 */
#ifndef INGEST_PACE_H
#define INGEST_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace_limits {
	int64_t total_ms;   /* the whole message */
	int64_t stretch_ms; /* the first is free */
	int64_t rate;	    /* octets per second over a stretch; 0: any */
};
struct pace {
	uint64_t message; /* 0: none was under way at the last look */
	int64_t began_ms, stretch_ms;
	uint64_t octets; /* when the stretch began */
	bool first;
};
enum pace_finding { PACE_FINE, PACE_SLOW, PACE_LATE };
/* message: which one is under way (0: none), octets: how much of it is here. To be asked every second or so. */
enum pace_finding pace_look(struct pace *p, const struct pace_limits *l, uint64_t message, uint64_t octets,
			    int64_t now_ms);

#endif
