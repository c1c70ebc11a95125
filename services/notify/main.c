/* SPDX-License-Identifier: MIT
 *
 * sekisho-notify: tell people and systems. Configuration, endpoints, metrics, and the order in which the parts start
 * and stop.
 */
#include "svc/svc.h"

int
main(int argc, char **argv)
{
	static const struct svc_program program = {
	    .name = "notify",
	    .prefix = "SEKISHO_NOTIFY_",
	    .needs = SVC_DB | SVC_BUS | SVC_CONTENT | SVC_ACTORS,
	    .intent_sql = DB_INTENT_SQL("notify"),
	};
	return svc_main(&program, argc, argv);
}
