/* SPDX-License-Identifier: MIT */
#include "access.h"

struct permission_set
access_by_roles(const struct access *a)
{
	struct permission_set s = {0};
	if (a->n_grants == 0 && !permission_role(bytes_str(PERMISSION_ROLE_NONE), &s))
		return (struct permission_set){0};
	for (size_t i = 0; i < a->n_grants; i++)
		s = permission_or(s, a->grants[i].set);
	return s;
}

struct permission_set
access_when_enabled(const struct access *a)
{
	struct permission_set s = permission_without(permission_or(access_by_roles(a), a->allowed), a->denied);
	return permission_and(s, permission_all(false)); /* nothing of the platform's, whatever a table says */
}

struct permission_set
access_effective(const struct access *a)
{
	return a->disabled ? (struct permission_set){0} : access_when_enabled(a);
}

static const char *
grant_reason(const struct access_grant *g, struct arena *arena)
{
	return g->group.p == NULL ? arena_printf(arena, "role %.*s", (int)g->role.n, (const char *)g->role.p)
				  : arena_printf(arena, "role %.*s by group %.*s", (int)g->role.n,
						 (const char *)g->role.p, (int)g->group.n, (const char *)g->group.p);
}

size_t
access_why(const struct access *a, size_t i, struct arena *arena, const char ***why_r)
{
	const char **v = arena_new_array(arena, const char *, a->n_grants + 5);
	size_t n = 0;
	if (a->n_grants == 0 && permission_has(access_by_roles(a), i))
		v[n++] = "role " PERMISSION_ROLE_NONE ", as there is no other";
	for (size_t k = 0; k < a->n_grants; k++)
		if (permission_has(a->grants[k].set, i))
			v[n++] = grant_reason(&a->grants[k], arena);
	if (permission_has(a->allowed, i))
		v[n++] = "exception: allowed";
	if (permission_has(a->denied, i))
		v[n++] = "exception: denied";
	if (a->disabled)
		v[n++] = "disabled";
	if (n == 0)
		v[n++] = "no role gives it";
	*why_r = v;
	return n;
}
