/* SPDX-License-Identifier: MIT
 *
 * The options of the commands; commands.c says which command has which. Each list ends with a NULL name.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli.h"

extern const struct cli_option opt_send[], opt_message_list[], opt_message_search[], opt_page[], opt_act[];
extern const struct cli_option opt_policy_get[], opt_if_version[];
extern const struct cli_option opt_tenant_create[], opt_tenant_update[];
extern const struct cli_option opt_user_list[], opt_user_create[], opt_user_update[], opt_user_password[],
    opt_user_access[];
extern const struct cli_option opt_role_put[], opt_group_put[];
extern const struct cli_option opt_key_list[], opt_key_create[], opt_key_rotate[];
extern const struct cli_option opt_domain_add[], opt_route_set[], opt_settings_set[];
extern const struct cli_option opt_sandbox_list[], opt_output[];
extern const struct cli_option opt_audit_search[], opt_audit_heads[], opt_audit_prove[], opt_audit_export[],
    opt_audit_verify[];
extern const struct cli_option opt_events[], opt_man[];
extern const struct cli_option opt_webhook_create[], opt_webhook_update[], opt_webhook_rotate[], opt_webhook_attempts[];
extern const struct cli_option opt_webhook_replay[], opt_webhook_listen[];

#endif
