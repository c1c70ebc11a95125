/* SPDX-License-Identifier: MIT
 *
 * Sets of permissions. All there are and what the built-in roles hold stand in the table made from
 * proto/permissions.tsv (subjects.h); a set is one bit for each, in the order of the table. A key's and an own role's
 * are kept as one text, separated by spaces, in the same order. Pure.
 */
#ifndef AUTH_PERMISSION_H
#define AUTH_PERMISSION_H

#include "core/arena.h"
#include "crypt/actor.h"

#define PERMISSION_PLATFORM "platform.admin"
#define PERMISSION_SEND	    "message.send"

#define PERMISSION_ROLE_ALL  "administrator" /* the built-in role that holds everything of a tenant's */
#define PERMISSION_ROLE_NONE "member"	     /* what a person has to whom nobody gave a role */

struct permission_set {
	uint64_t bits;
};

/* How many there are, the platform's included; the name of one, from 0. */
size_t permission_count(void);
const char *permission_name(size_t i);
/* The number of this name, or permission_count(). */
size_t permission_find(struct bytes name);

/* Everything a tenant can grant; with platform also what only the platform's own keys have. */
struct permission_set permission_all(bool platform);
/* Built-in roles, by number from 0 until NULL; one by its name: false if it is none (in any ASCII case, so that no own
 * role can be taken for one). */
const char *permission_role_name(size_t i);
bool permission_role(struct bytes name, struct permission_set *out_r);
bool permission_role_reserved(struct bytes name);

static inline bool
permission_has(struct permission_set s, size_t i)
{
	return i < 64 && (s.bits >> i & 1) != 0;
}
static inline struct permission_set
permission_and(struct permission_set a, struct permission_set b)
{
	return (struct permission_set){a.bits & b.bits};
}
static inline struct permission_set
permission_or(struct permission_set a, struct permission_set b)
{
	return (struct permission_set){a.bits | b.bits};
}
static inline struct permission_set
permission_without(struct permission_set a, struct permission_set b)
{
	return (struct permission_set){a.bits & ~b.bits};
}

/* From names that a caller gave as "permissions". RC_INVALID: an unknown one, and which: "permissions[3]: ...". */
enum rc permission_of_names(const char *const *names, size_t n, struct permission_set *out_r, struct err *e) MUST_CHECK;
/* From a stored text; what a newer or older version does not know is left out, and with known_r said. */
struct permission_set permission_of_text(const char *text, bool *known_r);
struct permission_set permission_of_actor(const struct actor *a);

const char *permission_text(struct permission_set s, struct arena *a);
/* Names into an array of its own; its length is returned. */
size_t permission_names(struct permission_set s, struct arena *a, const char ***names_r);
void permission_into_actor(struct permission_set s, struct actor *out);

/* RC_DENIED with the first that is wanted and not there: "permission x is missing". */
enum rc permission_need(struct permission_set wanted, struct permission_set has, struct err *e) MUST_CHECK;
/* The same for what would be given: "x is not yours to give". */
enum rc permission_may_give(struct permission_set given, struct permission_set has, struct err *e) MUST_CHECK;

#endif
