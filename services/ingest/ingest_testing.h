/* SPDX-License-Identifier: MIT
 *
 * A session with a scripted world behind it, for tests and the fuzz target: names and addresses decide the answers.
 *   login: password "secret" is right, "later" is RC_RETRY
 *   sender: *@own.test may send; revoked@own.test may not; later@own.test is RC_RETRY
 *   recipient: @one.test and @two.test belong to two tenants, @later.test is RC_RETRY, others to nobody
 *   message: accepted, the reply names its octets and recipients; kept in `last`
 */
#ifndef INGEST_TESTING_H
#define INGEST_TESTING_H

#include "ingest_session.h"

struct testing {
	struct ingest_budget budget;
	struct session_config cfg;
	struct session *session;
	struct buf in, out;
	enum session_want want;
	struct envelope *last;
	int messages, logins, recipients_asked;
};
void testing_init(struct testing *t, enum session_kind kind, bool tls);
void testing_done(struct testing *t);
/* Octets arrive; everything that can be done with them is done. After SESSION_STARTTLS and SESSION_CLOSE none is taken.
 */
void testing_feed(struct testing *t, const void *p, size_t n);

#endif
