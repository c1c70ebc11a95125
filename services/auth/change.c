/* SPDX-License-Identifier: MIT */
#include "change.h"

#include "names.h"

#define WEEK_US		INT64_C(604800000000)
#define DESCRIPTION_MAX 1000

enum rc
change_begin(struct change *c, const struct svc_request *r, const struct uuid *tenant, struct buf *reply, bool *done_r,
	     struct err *e)
{
	struct store_by by = wire_by(r, "");
	bool done = false;
	*c = (struct change){.r = r};
	enum rc rc = store_begin(&by, tenant, r->in->arena, &c->t, e);
	if (rc == RC_OK)
		rc = svc_once_begin(r, c->t.tx, reply, &done, e);
	if (rc != RC_OK || done)
		store_drop(&c->t);
	if (rc == RC_OK)
		*done_r = done;
	return rc;
}

enum rc
change_lock(struct change *c, struct err *e)
{
	const struct actor *actor = c->r->actor;
	struct permission_set live = permission_all(true);
	enum rc rc = uuid_is_nil(&c->t.tenant) ? RC_OK : store_lock_tenant(&c->t, e);
	/* The platform's own keys are not the tenant's, and beyond what it can take away. */
	if (rc == RC_OK && uuid_eq(&actor->tenant, &c->t.tenant))
		rc = store_get_actor_access(&c->t, &actor->account, &live, e);
	if (rc == RC_OK)
		rc = store_last_way_in(&c->t, &c->way_in_us, e);
	c->mine = permission_and(permission_of_actor(actor), live);
	return rc;
}

enum rc
change_keep_way_in(struct change *c, struct err *e)
{
	int64_t after = 0;
	enum rc rc = store_last_way_in(&c->t, &after, e);
	if (rc != RC_OK)
		return rc;
	if (after < c->way_in_us && after < c->t.by.now_us + WEEK_US)
		return err_set(e, RC_CONFLICT,
			       "this would end the last administrator's access; make another key with every permission "
			       "first");
	return RC_OK;
}

enum rc
change_check_version(uint64_t if_version, uint64_t now, struct err *e)
{
	return if_version == 0 || if_version == now
		   ? RC_OK
		   : err_set(e, RC_CONFLICT, "version is %llu", (unsigned long long)now);
}

enum rc
change_end(struct change *c, enum rc rc, const char *on_unique, struct buf *reply, struct err *e)
{
	if (rc == RC_OK)
		rc = svc_once_end(c->r, c->t.tx, buf_bytes(reply), e);
	rc = store_end(&c->t, rc, on_unique, e);
	if (rc != RC_OK)
		buf_reset(reply);
	return rc;
}

enum rc
change_need_tenant(const struct svc_request *r, struct err *e)
{
	return uuid_is_nil(&r->actor->tenant) ? err_set(e, RC_INVALID, "a platform key belongs to no tenant") : RC_OK;
}

/* if_version against what there is; 0 is whatever it is. */
enum rc
change_check_put(bool there, uint64_t version, uint64_t if_version, bool must_be_new, const char *what, struct err *e)
{
	if (there && must_be_new)
		return err_set(e, RC_CONFLICT, "there is %s of this name", what);
	if (!there && if_version != 0)
		return err_set(e, RC_NOT_FOUND, "there is no such %s", what + 2);
	return there ? change_check_version(if_version, version, e) : RC_OK;
}

/* Names of roles and groups, and what is said about them. */
enum rc
change_check_words(const char *name, const char *description, const char *what, struct err *e)
{
	enum rc rc = names_check(bytes_str(name), false, what, e);
	return rc == RC_OK ? names_check_long(bytes_str(description), DESCRIPTION_MAX, "the description", e) : rc;
}
