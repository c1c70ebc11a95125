/* SPDX-License-Identifier: MIT
 *
 * Readers of the column lists in store_columns.h.
 */
#include "store_columns.h"

static const char *
text(const struct db_rows *r, int col, struct arena *a)
{
	struct bytes b = db_bytes(r, col);
	return arena_strndup(a, b.p != NULL ? b.p : (const uint8_t *)"", b.n);
}

void
store_read_message(const struct db_rows *r, int first, struct arena *a, struct store_message *out_r)
{
	int c = first;
	out_r->id = db_uuid(r, c++);
	out_r->accepted_us = db_time(r, c++);
	const char *direction = db_text(r, c++);
	out_r->direction = STORE_SYSTEM;
	for (int d = STORE_OUTGOING; d < STORE_SYSTEM; d++)
		if (strcmp(direction, store_direction_str((enum store_direction)d)) == 0)
			out_r->direction = (enum store_direction)d;
	out_r->mail_from = arena_bytes(a, db_bytes(r, c++));
	out_r->size = (uint64_t)db_int(r, c++);
	out_r->traceparent = text(r, c++, a);
	out_r->eight_bit = db_bool(r, c++);
	out_r->smtputf8 = db_bool(r, c++);
	out_r->account = db_uuid(r, c++);
	out_r->account_name = arena_bytes(a, db_bytes(r, c++));
	out_r->client_ip = arena_bytes(a, db_bytes(r, c++));
	out_r->helo = arena_bytes(a, db_bytes(r, c++));
	out_r->protocol = arena_bytes(a, db_bytes(r, c++));
	out_r->tls = arena_bytes(a, db_bytes(r, c++));
	out_r->envid = arena_bytes(a, db_bytes(r, c++));
	out_r->ret = text(r, c++, a);
	out_r->verdict = arena_bytes(a, db_bytes(r, c++));
	out_r->host = arena_bytes(a, db_bytes(r, c++));
}

void
store_read_leg(const struct db_rows *r, int first, struct arena *a, struct store_leg *out_r)
{
	int c = first;
	out_r->number = (int32_t)db_int(r, c++);
	out_r->address = arena_bytes(a, db_bytes(r, c++));
	out_r->domain = arena_bytes(a, db_bytes(r, c++));
	if (!leg_state_parse(db_text(r, c++), &out_r->state))
		out_r->state = LEG_REFUSED; /* a check constraint keeps others out */
	out_r->cause = text(r, c++, a);
	out_r->version = db_int(r, c++);
	out_r->epoch = db_int(r, c++);
	out_r->attempts = (int32_t)db_int(r, c++);
	out_r->due_us = db_time(r, c++);
	out_r->reply = arena_bytes(a, db_bytes(r, c++));
	out_r->remote = arena_bytes(a, db_bytes(r, c++));
	out_r->rule = arena_bytes(a, db_bytes(r, c++));
	out_r->orcpt = arena_bytes(a, db_bytes(r, c++));
	out_r->decided_by = arena_bytes(a, db_bytes(r, c++));
	out_r->tls = text(r, c++, a);
	out_r->notify = text(r, c++, a);
	out_r->final_us = db_time(r, c++);
	out_r->possible_duplicate = db_bool(r, c++);
	out_r->delay_told = db_bool(r, c++);
	out_r->sendable_us = db_time(r, c++);
}
