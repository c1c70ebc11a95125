/* SPDX-License-Identifier: MIT */
#include "permission.h"

static const char *const table[] = {
    "message.read", PERMISSION_SEND, "hold.release", "hold.discard", "policy.read", "policy.write",	 "user.write",
    "key.write",    "domain.write",  "route.write",  "queue.read",   "keeper.read", PERMISSION_PLATFORM,
};
#define TABLE_N (sizeof(table) / sizeof(*table))

static const char *
join(const bool has[TABLE_N], struct arena *a)
{
	const char *text = "";
	for (size_t i = 0; i < TABLE_N; i++)
		if (has[i])
			text = arena_printf(a, "%s%s%s", text, text[0] != 0 ? " " : "", table[i]);
	return text;
}

static size_t
find(const char *name, size_t n)
{
	size_t i = 0;
	while (i < TABLE_N && (strlen(table[i]) != n || memcmp(table[i], name, n) != 0))
		i++;
	return i;
}

const char *
permission_all(struct arena *a, bool platform)
{
	bool has[TABLE_N];
	for (size_t i = 0; i < TABLE_N; i++)
		has[i] = platform || strcmp(table[i], PERMISSION_PLATFORM) != 0;
	return join(has, a);
}

enum rc
permission_grant(const char *const *names, size_t n, const struct actor *by, struct arena *a, const char **text_r,
		 struct err *e)
{
	bool has[TABLE_N] = {false};
	if (n == 0)
		return err_set(e, RC_INVALID, "a key needs at least one permission");
	for (size_t i = 0; i < n; i++) {
		size_t at = find(names[i], strlen(names[i]));
		if (at == TABLE_N)
			return err_set(e, RC_INVALID, "unknown permission \"%.40s\"", names[i]);
		if (!actor_may(by, names[i]))
			return err_set(e, RC_DENIED, "%s is not yours to give", table[at]);
		has[at] = true;
	}
	*text_r = join(has, a);
	return RC_OK;
}

enum rc
permission_covers(const char *text, const struct actor *by, struct err *e)
{
	while (*text != 0) {
		size_t n = strcspn(text, " ");
		size_t at = find(text, n);
		if (at == TABLE_N || !actor_may(by, table[at]))
			return err_set(e, RC_DENIED, "permission %.*s is missing", (int)n, text);
		text += n + (text[n] == ' ');
	}
	return RC_OK;
}

void
permission_split(const char *text, struct actor *out)
{
	out->n_permissions = 0;
	while (*text != 0) {
		size_t n = strcspn(text, " ");
		size_t at = find(text, n);
		if (at < TABLE_N && out->n_permissions < ACTOR_PERMISSIONS_MAX)
			out->permissions[out->n_permissions++] = table[at];
		text += n + (text[n] == ' ');
	}
}
