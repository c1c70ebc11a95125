/* SPDX-License-Identifier: MIT
 *
 * What may be dropped before its partition is: the mail that a sandbox's sink keeps for some days.
 */
#include "content/content.h"

static const char drop[] = "DELETE FROM content.chunk WHERE tenant = $1 AND id = ANY($2) AND kind = $3";

enum rc
content_drop(struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n, struct err *e)
{
	struct db_args args;
	if (n == 0)
		return RC_OK;
	db_args_init(&args);
	db_arg_uuid(&args, tenant);
	db_arg_uuids(&args, ids, n);
	db_arg_int(&args, CONTENT_SANDBOX);
	return db_exec(tx, drop, &args, e);
}
