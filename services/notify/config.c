/* SPDX-License-Identifier: MIT
 *
 * What is derived from the configuration.
 */
#include "notify.h"
#include "turn.h"

struct notify_config notify_config;
struct notify notify;

enum rc
notify_config_parse(struct notify_config *c, struct err *e)
{
	if (course_ladder_parse(c->retry, c->disable_ms, &c->ladder, e) != RC_OK)
		return err_prefix(e, "SEKISHO_NOTIFY_RETRY");
	if (guard_parse(c->allow, c->ports, c->allow_http, &c->guard, e) != RC_OK)
		return err_prefix(e, "SEKISHO_NOTIFY_ALLOW or _PORTS");
	if (c->timeout_ms < 100 || c->connect_ms < 100 || c->connect_ms > c->timeout_ms)
		return err_set(e, RC_INVALID, "SEKISHO_NOTIFY_TIMEOUT: at least 100ms and not below _CONNECT_TIMEOUT");
	if (c->lease_ms < c->timeout_ms + 2 * TURN_MARGIN_MS)
		return err_set(e, RC_INVALID, "SEKISHO_NOTIFY_LEASE: at least _TIMEOUT and %d s",
			       2 * TURN_MARGIN_MS / 1000);
	if (c->idle_ms < 100 || c->keep_ms < 1000 || c->heads_ms < 1000)
		return err_set(e, RC_INVALID, "SEKISHO_NOTIFY_IDLE, _KEEP or _HEADS is too short");
	return RC_OK;
}
