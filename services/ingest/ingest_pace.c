/* SPDX-License-Identifier: MIT */
#include "ingest_pace.h"

enum pace_finding
pace_look(struct pace *p, const struct pace_limits *l, uint64_t message, uint64_t octets, int64_t now_ms)
{
	if (message != p->message) {
		*p = (struct pace){
		    .message = message, .began_ms = now_ms, .stretch_ms = now_ms, .octets = octets, .first = true};
		return PACE_FINE;
	}
	if (message == 0)
		return PACE_FINE;
	if (now_ms - p->began_ms >= l->total_ms)
		return PACE_LATE;
	if (now_ms - p->stretch_ms < l->stretch_ms)
		return PACE_FINE;
	bool slow = !p->first && (octets - p->octets) * 1000 < (uint64_t)(l->rate * l->stretch_ms);
	p->stretch_ms = now_ms;
	p->octets = octets;
	p->first = false;
	return slow ? PACE_SLOW : PACE_FINE;
}
