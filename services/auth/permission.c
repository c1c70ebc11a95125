/* SPDX-License-Identifier: MIT */
#include "permission.h"

#include "subjects.h"

size_t
permission_count(void)
{
	size_t n = 0;
	while (subject_permissions[n].name != NULL)
		n++;
	return n < 64 ? n : 64; /* and permission_test says that it is less */
}

const char *
permission_name(size_t i)
{
	return subject_permissions[i].name;
}

size_t
permission_find(struct bytes name)
{
	size_t i = 0, n = permission_count();
	while (i < n && !bytes_eq(bytes_str(subject_permissions[i].name), name))
		i++;
	return i;
}

static struct permission_set
bit(size_t i)
{
	return (struct permission_set){UINT64_C(1) << i};
}

struct permission_set
permission_all(bool platform)
{
	struct permission_set s = {0};
	for (size_t i = 0, n = permission_count(); i < n; i++)
		if (platform || !subject_permissions[i].platform)
			s = permission_or(s, bit(i));
	return s;
}

/* --- built-in roles ----------------------------------------------------------------------------------------- */
const char *
permission_role_name(size_t i)
{
	return subject_roles[i];
}

/* The table names a role with a space before and behind. */
static bool
names_role(const char *roles, const char *role)
{
	size_t n = strlen(role);
	for (const char *at = roles; (at = strstr(at, role)) != NULL; at++)
		if (at > roles && at[-1] == ' ' && at[n] == ' ')
			return true;
	return false;
}

bool
permission_role(struct bytes name, struct permission_set *out_r)
{
	struct permission_set s = {0};
	size_t r = 0;
	while (subject_roles[r] != NULL && !bytes_eq(bytes_str(subject_roles[r]), name))
		r++;
	if (subject_roles[r] == NULL)
		return false;
	bool all = strcmp(subject_roles[r], PERMISSION_ROLE_ALL) == 0;
	for (size_t i = 0, n = permission_count(); i < n; i++)
		if (!subject_permissions[i].platform &&
		    (all || names_role(subject_permissions[i].roles, subject_roles[r])))
			s = permission_or(s, bit(i));
	*out_r = s;
	return true;
}

bool
permission_role_reserved(struct bytes name)
{
	size_t r = 0;
	while (subject_roles[r] != NULL && !bytes_ieq(bytes_str(subject_roles[r]), name))
		r++;
	return subject_roles[r] != NULL;
}

/* --- in and out --------------------------------------------------------------------------------------------- */
enum rc
permission_of_names(const char *const *names, size_t n, struct permission_set *out_r, struct err *e)
{
	struct permission_set s = {0};
	for (size_t k = 0; k < n; k++) {
		size_t i = permission_find(bytes_str(names[k]));
		if (i == permission_count())
			return err_set(e, RC_INVALID, "permissions[%zu]: unknown permission \"%.40s\"", k, names[k]);
		s = permission_or(s, bit(i));
	}
	*out_r = s;
	return RC_OK;
}

struct permission_set
permission_of_text(const char *text, bool *known_r)
{
	struct permission_set s = {0};
	bool known = true;
	while (*text != 0) {
		size_t n = strcspn(text, " ");
		size_t i = permission_find(bytes_of(text, n));
		if (i < permission_count())
			s = permission_or(s, bit(i));
		else
			known = false;
		text += n + (text[n] == ' ');
	}
	if (known_r != NULL)
		*known_r = known;
	return s;
}

struct permission_set
permission_of_actor(const struct actor *a)
{
	struct permission_set s = {0};
	for (size_t i = 0, n = permission_count(); i < n; i++)
		if (actor_may(a, subject_permissions[i].name))
			s = permission_or(s, bit(i));
	return s;
}

const char *
permission_text(struct permission_set s, struct arena *a)
{
	const char *text = "";
	for (size_t i = 0, n = permission_count(); i < n; i++)
		if (permission_has(s, i))
			text = arena_printf(a, "%s%s%s", text, text[0] != 0 ? " " : "", subject_permissions[i].name);
	return text;
}

size_t
permission_names(struct permission_set s, struct arena *a, const char ***names_r)
{
	size_t count = 0, n = permission_count();
	const char **v = arena_new_array(a, const char *, n + 1);
	for (size_t i = 0; i < n; i++)
		if (permission_has(s, i))
			v[count++] = subject_permissions[i].name;
	*names_r = v;
	return count;
}

void
permission_into_actor(struct permission_set s, struct actor *out)
{
	out->n_permissions = 0;
	for (size_t i = 0, n = permission_count(); i < n && out->n_permissions < ACTOR_PERMISSIONS_MAX; i++)
		if (permission_has(s, i))
			out->permissions[out->n_permissions++] = subject_permissions[i].name;
}

/* --- may they ------------------------------------------------------------------------------------------------ */
static const char *
first_of(struct permission_set s)
{
	for (size_t i = 0, n = permission_count(); i < n; i++)
		if (permission_has(s, i))
			return subject_permissions[i].name;
	return NULL;
}

enum rc
permission_need(struct permission_set wanted, struct permission_set has, struct err *e)
{
	const char *missing = first_of(permission_without(wanted, has));
	return missing == NULL ? RC_OK : err_set(e, RC_DENIED, "permission %s is missing", missing);
}

enum rc
permission_may_give(struct permission_set given, struct permission_set has, struct err *e)
{
	const char *missing = first_of(permission_without(given, has));
	return missing == NULL ? RC_OK : err_set(e, RC_DENIED, "%s is not yours to give", missing);
}
