/* SPDX-License-Identifier: MIT
 *
 * The columns of a message and of a leg as every query of the store lists them, and their readers. For store_*.c only.
 */
#ifndef DELIVERY_STORE_COLUMNS_H
#define DELIVERY_STORE_COLUMNS_H

#include "store.h"

#define STORE_MESSAGE_COLUMNS                                                                                          \
	"m.id, m.accepted_at, m.direction, m.mail_from, m.size, m.traceparent, m.eight_bit, m.smtputf8, m.account, "   \
	"m.account_name, m.client_ip, m.helo, m.protocol, m.tls, m.envid, m.ret, m.verdict, m.host"
#define STORE_MESSAGE_N 18
#define STORE_LEG_COLUMNS                                                                                              \
	"l.number, l.address, l.domain, l.state, l.cause, l.version, l.epoch, l.attempts, l.due_at, l.reply, "         \
	"l.remote, l.rule, l.orcpt, l.decided_by, l.tls, l.notify, l.final_at, l.possible_duplicate, l.delay_told, "   \
	"l.sendable_at"
#define STORE_LEG_N 20

/* Read from column first on; everything copied into a. */
void store_read_message(const struct db_rows *r, int first, struct arena *a, struct store_message *out_r);
void store_read_leg(const struct db_rows *r, int first, struct arena *a, struct store_leg *out_r);

/* Rows of messages joined with their legs, in order: both lists of columns. Takes the rows. */
void store_read_views(struct db_rows *r, struct arena *a, struct store_view **v_r, size_t *n_r);

/* Empty octets that are not SQL NULL. */
static inline struct bytes
store_full(struct bytes b)
{
	return b.p != NULL ? b : bytes_of("", 0);
}

#endif
