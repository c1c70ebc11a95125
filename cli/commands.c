/* SPDX-License-Identifier: MIT
 *
 * The one command table, from which come the parsing and the help.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define O_END                                                                                                          \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}
static const struct cli_option send_options[] = {
    {"--from", "ADDRESS", "sender, \"a@example.com\" or \"Name <a@example.com>\""},
    {"--to", "ADDRESS", "recipient; may be given again"},
    {"--cc", "ADDRESS", "the same as a copy"},
    {"--bcc", "ADDRESS", "the same, seen by nobody else"},
    {"--reply-to", "ADDRESS", "where answers should go"},
    {"--subject", "TEXT", "subject"},
    {"--text", "TEXT", "body; \"-\" reads it from standard input"},
    {"--html", "FILE", "HTML body from a file"},
    {"--attach", "FILE", "a file to attach; may be given again"},
    {"--raw", "FILE",
     "a whole message (RFC 5322) instead; \"-\" reads standard input. --from and --to are its envelope"},
    {"--idempotency-key", "KEY", "the same key never makes a second message (default: a new one)"},
    O_END,
};
static const struct cli_option list_options[] = {
    {"--limit", "N", "at most N messages (1..200, default 50)"},
    {"--cursor", "CURSOR", "go on where an earlier list ended"},
    {"--state", "STATE", "with a recipient in this state: held, queued, sending, deferred, delivered, bounced, ..."},
    {"--sender", "ADDRESS", "exact sender of the envelope"},
    {"--recipient", "ADDRESS", "exact recipient"},
    {"--direction", "WORD", "outgoing, incoming or system"},
    O_END,
};
static const struct cli_option page_options[] = {
    {"--limit", "N", "at most N messages (1..200, default 50)"},
    {"--cursor", "CURSOR", "go on where an earlier list ended"},
    O_END,
};
static const struct cli_option act_options[] = {
    {"--reason", "TEXT", "kept in the record"},
    O_END,
};
static const struct cli_option policy_get_options[] = {
    {"--version", "N", "an earlier version instead of the one in force"},
    O_END,
};
static const struct cli_option policy_put_options[] = {
    {"--if-version", "N", "only if version N is in force"},
    O_END,
};
static const struct cli_option user_options[] = {
    {"--name", "TEXT", "display name"},
    {"--password-file", "FILE",
     "password, first line of a file (\"-\": standard input); none: application passwords only"},
    {"--address", "ADDRESS", "an address the person may send from; may be given again"},
    O_END,
};
static const struct cli_option key_options[] = {
    {"--login", "LOGIN", "whose key; none: the tenant's own"},
    {"--permission", "WORD", "what the key may do, such as message.send; may be given again"},
    {"--app-password", NULL, "an application password for SMTP instead of an API key"},
    {"--expires", "TIME", "when it ends, such as 2027-01-31T00:00:00Z"},
    O_END,
};
static const struct cli_option domain_options[] = {
    {"--class", "CLASS", "internal (default), affiliate or external"},
    {"--assert-proven", NULL, "proven without DNS (platform key only)"},
    {"--tenant", "ID", "whose domain (platform key only)"},
    O_END,
};
static const struct cli_option route_options[] = {
    {"--smarthost", "HOST:PORT", "where to send; empty: by MX"},
    {"--username", "NAME", "login at the smarthost"},
    {"--password-file", "FILE", "its password, first line of a file (\"-\": standard input)"},
    {"--tls", "WORD", "may, encrypt (default) or verify"},
    O_END,
};

const struct cli_command cli_commands[] = {
    {"send", "", 0, 0, send_options, "send a message; prints its id once it is accepted", cmd_send},
    {"message list", "", 0, 0, list_options, "messages, newest first", cmd_message_list},
    {"message show", "ID", 1, 1, NULL, "one message and its recipients", cmd_message_show},
    {"message trace", "ID", 1, 1, NULL, "what happened when, and why", cmd_message_trace},
    {"hold list", "", 0, 0, page_options, "recipients on hold", cmd_hold_list},
    {"hold release", "ID [NUMBER...]", 1, -1, act_options, "send now (all recipients, or those with these numbers)",
     cmd_hold_release},
    {"hold discard", "ID [NUMBER...]", 1, -1, act_options, "never send", cmd_hold_discard},
    {"policy get", "", 0, 0, policy_get_options, "print the rule set", cmd_policy_get},
    {"policy put", "FILE", 1, 1, policy_put_options, "check and activate a rule set", cmd_policy_put},
    {"policy check", "FILE", 1, 1, NULL, "check a rule set without storing it", cmd_policy_check},
    {"tenant create", "NAME", 1, 1, NULL, "a new tenant; prints its first administrator's key once", cmd_tenant_create},
    {"tenant list", "", 0, 0, NULL, "all tenants (platform key)", cmd_tenant_list},
    {"user create", "LOGIN", 1, 1, user_options, "a person who may send", cmd_user_create},
    {"key create", "NAME", 1, 1, key_options, "an API key or application password; prints it once", cmd_key_create},
    {"key revoke", "ID", 1, 1, NULL, "end a key at once", cmd_key_revoke},
    {"domain add", "NAME", 1, 1, domain_options,
     "claim a domain, or prove the claim; prints the DNS records to publish", cmd_domain_add},
    {"domain dkim", "NAME", 1, 1, NULL, "the DKIM records to publish", cmd_domain_dkim},
    {"route get", "outbound|inbound", 1, 1, NULL, "where mail goes next", cmd_route_get},
    {"route set", "outbound|inbound", 1, 1, route_options, "change it", cmd_route_set},
    {"bus status", "", 0, 0, NULL, "streams and consumers", cmd_bus_status},
    {"queue", "", 0, 0, NULL, "recipients waiting, by destination", cmd_queue},
    {"conservation", "", 0, 0, NULL, "the sum of all recipients; exit 1 if it does not hold", cmd_conservation},
    {"health", "", 0, 0, NULL, "does the API serve?", cmd_health},
    {"help", "[COMMAND...]", 0, -1, NULL, "this list, or one command", cmd_help},
    {.words = NULL},
};

static void
help_options(const struct cli_command *c)
{
	for (const struct cli_option *o = c->options; o != NULL && o->name != NULL; o++) {
		char left[64];
		snprintf(left, sizeof(left), "%s%s%s", o->name, o->meta != NULL ? " " : "",
			 o->meta != NULL ? o->meta : "");
		printf("  %-26s %s\n", left, o->help);
	}
}

int
cmd_help(struct cli *c)
{
	char words[128] = "";
	for (int i = 0; i < c->args.n_arguments && strlen(words) + strlen(c->args.argument[i]) + 2 < sizeof(words);
	     i++) {
		strcat(words, i > 0 ? " " : "");
		strcat(words, c->args.argument[i]);
	}
	if (words[0] != '\0') {
		for (const struct cli_command *k = cli_commands; k->words != NULL; k++) {
			if (strcmp(k->words, words) != 0)
				continue;
			printf("sekisho %s %s\n  %s\n", k->words, k->arguments, k->help);
			help_options(k);
			return CLI_OK;
		}
		cli_error("no such command: %s", words);
		return CLI_USAGE;
	}
	puts("sekisho: the command line of the checkpoint\n");
	for (const struct cli_command *k = cli_commands; k->words != NULL; k++) {
		char left[64];
		snprintf(left, sizeof(left), "%s %s", k->words, k->arguments);
		printf("  %-30s %s\n", left, k->help);
	}
	puts("\nEverywhere: --json (the API's answer as it is), --env FILE, --help.\n"
	     "Reads SEKISHO_URL, SEKISHO_CA and SEKISHO_API_KEY from the environment or ./run/sekisho.env.\n"
	     "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not reachable.");
	return CLI_OK;
}
