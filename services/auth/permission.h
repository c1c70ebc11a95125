/* SPDX-License-Identifier: MIT
 *
 * The permissions there are. A key's are kept as one text, separated by spaces, in the order of the table. Pure.
 */
#ifndef AUTH_PERMISSION_H
#define AUTH_PERMISSION_H

#include "core/arena.h"
#include "crypt/actor.h"

#define PERMISSION_PLATFORM "platform.admin"
#define PERMISSION_SEND	    "message.send"

/* Everything a tenant can grant; with platform also what only the platform's own keys have. */
const char *permission_all(struct arena *a, bool platform);
/* The text of these permissions. RC_INVALID: none, or an unknown one; RC_DENIED: one that by does not have itself (a
 * key never makes a stronger key). */
enum rc permission_grant(const char *const *names, size_t n, const struct actor *by, struct arena *a,
			 const char **text_r, struct err *e) MUST_CHECK;
/* RC_DENIED: the text names a permission that by does not have, or one that this version does not know. */
enum rc permission_covers(const char *text, const struct actor *by, struct err *e) MUST_CHECK;
/* Into an actor; what a newer or older version does not know is left out. */
void permission_split(const char *text, struct actor *out);

#endif
