/* SPDX-License-Identifier: MIT
 *
 * Names as auth stores and compares them: logins, addresses, domains, names for people. Pure.
 */
#ifndef AUTH_NAMES_H
#define AUTH_NAMES_H

#include "core/arena.h"
#include "core/bytes.h"

#define NAMES_LOGIN_MAX 128
#define NAMES_MAX	256 /* octets of a name for people */

/* [a-z0-9._@+-], 1..128 octets; upper case is made lower. False: nobody has such a login. */
bool names_login(struct bytes in, struct arena *a, const char **login_r) MUST_CHECK;
/* addr-spec to local part as it is, '@', domain in lower case and A-labels. Address literals are refused. domain_r
 * is a C string of its own. */
enum rc names_address(struct bytes in, struct arena *a, struct bytes *address_r, const char **domain_r,
		      struct err *e) MUST_CHECK;
/* ASCII letters in lower case, the rest as it is: to search by. */
struct bytes names_fold(struct bytes in, struct arena *a);
/* At least two labels, lower case, A-labels, room for the label of the proof in front. */
enum rc names_domain(struct bytes in, struct arena *a, const char **domain_r, struct err *e) MUST_CHECK;
/* UTF-8 without control characters, at most NAMES_MAX octets; empty only if allowed. */
enum rc names_check(struct bytes in, bool empty_allowed, const char *what, struct err *e) MUST_CHECK;
/* The same for something longer; empty is allowed. */
enum rc names_check_long(struct bytes in, size_t max, const char *what, struct err *e) MUST_CHECK;

#endif
