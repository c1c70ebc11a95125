/* SPDX-License-Identifier: MIT
 *
 * Words and bounds.
 */
#include "wish.h"

#include <string.h>

#include "actions.h"
#include "smtp/address.h"

enum rc
wish_description(const char *text, struct err *e)
{
	struct bytes b = bytes_str(text);
	if (b.n > NOTIFY_DESCRIPTION_MAX || !smtp_utf8_valid(b))
		return err_set(e, RC_INVALID, "description: at most %d octets of UTF-8", NOTIFY_DESCRIPTION_MAX);
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < ' ' || b.p[i] == 0x7f)
			return err_set(e, RC_INVALID, "description: one line, without controls");
	return RC_OK;
}

static bool
type_known(const char *s)
{
	const struct action_event *t = action_events;
	while (t->action != NULL && strcmp(t->event, s) != 0)
		t++;
	return t->action != NULL;
}

enum rc
wish_types(char *const *types, size_t n, struct err *e)
{
	if (n > NOTIFY_TYPES_MAX)
		return err_set(e, RC_INVALID, "types: at most %d", NOTIFY_TYPES_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!type_known(types[i]))
			return err_set(e, RC_INVALID, "types[%zu]: there are no such events", i);
		for (size_t k = 0; k < i; k++)
			if (strcmp(types[i], types[k]) == 0)
				return err_set(e, RC_INVALID, "types[%zu]: twice", i);
	}
	return RC_OK;
}
