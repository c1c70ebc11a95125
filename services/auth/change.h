/* SPDX-License-Identifier: MIT
 *
 * One change that somebody asked for: begun, checked, made, answered and committed as one, and once (svc/once.h). The
 * order in a handler: change_begin(), for whatever touches who may what change_lock(), the change, its answer into
 * reply, change_end() in every case.
 */
#ifndef AUTH_CHANGE_H
#define AUTH_CHANGE_H

#include "svc/once.h"
#include "wire.h"

struct change {
	const struct svc_request *r;
	struct store_tx t;
	struct permission_set mine; /* after change_lock(): what the caller may give */
	int64_t way_in_us;	    /* after change_lock(): how long an administrator has a way in */
};

/* *done_r: it was done before, reply holds the answer of then and nothing is open. */
enum rc change_begin(struct change *c, const struct svc_request *r, const struct uuid *tenant, struct buf *reply,
		     bool *done_r, struct err *e) MUST_CHECK;
/* Changes of who may what go one after the other in a tenant. What the caller may is then what the token says and the
 * tables still say: a token outlives a role that was taken away by up to a minute, and gives nothing meanwhile. */
enum rc change_lock(struct change *c, struct err *e) MUST_CHECK;
/* After the change. RC_CONFLICT: it ended the last administrator's way in, or brought its end nearer than a week. */
enum rc change_keep_way_in(struct change *c, struct err *e) MUST_CHECK;
/* RC_CONFLICT "version is N" unless if_version is 0 or N. */
enum rc change_check_version(uint64_t if_version, uint64_t now, struct err *e) MUST_CHECK;
/* Commit, with the answer kept for the same idempotency key, if rc is RC_OK; else roll back and leave reply empty. */
enum rc change_end(struct change *c, enum rc rc, const char *on_unique, struct buf *reply, struct err *e) MUST_CHECK;

/* RC_INVALID: a platform key asks for what only a tenant has. */
enum rc change_need_tenant(const struct svc_request *r, struct err *e) MUST_CHECK;

/* --- what role_put and group_put share ------------------------------------------------------------------------ */
/* if_version and must_be_new against what there is; what: "a role". */
enum rc change_check_put(bool there, uint64_t version, uint64_t if_version, bool must_be_new, const char *what,
			 struct err *e) MUST_CHECK;
enum rc change_check_words(const char *name, const char *description, const char *what, struct err *e) MUST_CHECK;

#endif
