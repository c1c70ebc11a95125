/* SPDX-License-Identifier: MIT
 *
 * What one person may, and why: roles of their own, roles by groups, single exceptions. A denial wins over everything;
 * somebody without any role has the built-in "member"; somebody disabled may nothing. Pure; strings are borrowed.
 */
#ifndef AUTH_ACCESS_H
#define AUTH_ACCESS_H

#include "permission.h"

struct access_grant {
	struct bytes role;
	struct bytes group; /* by which; p NULL: the person's own role */
	struct permission_set set;
};
struct access {
	bool disabled;
	struct access_grant *grants;
	size_t n_grants;
	struct permission_set allowed, denied; /* exceptions */
};

/* What the roles hold, "member" if there are none; without exceptions. */
struct permission_set access_by_roles(const struct access *a);
struct permission_set access_effective(const struct access *a);
/* As if the person were enabled. */
struct permission_set access_when_enabled(const struct access *a);

/* Every reason about permission i, good and bad, also those that another overrules: "role operator", "role auditor by
 * group ...", "role member, as there is no other", "exception: allowed", "exception: denied", "disabled". */
size_t access_why(const struct access *a, size_t i, struct arena *arena, const char ***why_r);

#endif
