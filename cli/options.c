/* SPDX-License-Identifier: MIT */
#include "options.h"

#define O_END                                                                                                          \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}
#define O_LIMIT                                                                                                        \
	{                                                                                                              \
		"--limit", "N", "at most N (1..200, default 50)"                                                       \
	}
#define O_CURSOR                                                                                                       \
	{                                                                                                              \
		"--cursor", "CURSOR", "go on where an earlier list ended"                                              \
	}
#define O_FROM                                                                                                         \
	{                                                                                                              \
		"--from", "TIME", "not earlier than this (UTC): 2026-11-01 or 2026-11-01T09:00:00Z"                    \
	}
#define O_UNTIL                                                                                                        \
	{                                                                                                              \
		"--until", "TIME", "earlier than this (UTC)"                                                           \
	}
#define O_DIRECTION                                                                                                    \
	{                                                                                                              \
		"--direction", "outgoing|incoming|system", "only mail of this direction"                               \
	}
#define O_IF_VERSION                                                                                                   \
	{                                                                                                              \
		"--if-version", "N", "only if version N is in force"                                                   \
	}
#define O_PASSWORD                                                                                                     \
	{                                                                                                              \
		"--password-file", "FILE", "password, first line of a file (\"-\": standard input)"                    \
	}
#define O_TYPE                                                                                                         \
	{                                                                                                              \
		"--type", "TYPE", "an event type, such as recipient.delivered; may be given again (none: all)"         \
	}
#define O_OUTPUT                                                                                                       \
	{                                                                                                              \
		"--output", "FILE", "write to a file instead of standard output"                                       \
	}

const struct cli_option cli_globals[] = {
    {"--json", NULL, "the API's answer as it is, for programs"},
    {"--env", "FILE", "settings from this file, before the environment"},
    {"--idempotency-key", "KEY",
     "for what makes or sends something: the same key never does it twice (default: a new one)"},
    {"--help", NULL, "this command's help"},
    O_END,
};

const struct cli_option opt_send[] = {
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
    O_END,
};
const struct cli_option opt_message_list[] = {
    O_LIMIT,
    O_CURSOR,
    {"--state", "held|queued|sending|deferred|delivered|bounced|refused|discarded|expired|uncertain|quarantined",
     "with a recipient in this state"},
    {"--sender", "ADDRESS", "exact sender of the envelope"},
    {"--recipient", "ADDRESS", "exact recipient"},
    O_DIRECTION,
    O_END,
};
const struct cli_option opt_message_search[] = {O_LIMIT, O_CURSOR, O_FROM, O_UNTIL, O_DIRECTION, O_END};
const struct cli_option opt_page[] = {O_LIMIT, O_CURSOR, O_END};
const struct cli_option opt_act[] = {{"--reason", "TEXT", "kept in the record"}, O_END};
const struct cli_option opt_policy_get[] = {{"--version", "N", "an earlier version instead of the one in force"},
					    O_END};
const struct cli_option opt_if_version[] = {O_IF_VERSION, O_END};

const struct cli_option opt_tenant_create[] = {
    {"--sandbox", NULL, "its mail goes to a sink and never out; cannot be changed later"},
    O_END,
};
const struct cli_option opt_tenant_update[] = {
    {"--name", "TEXT", "display name"},
    {"--language", "ja|en", "of notices"},
    {"--head-mail", "yes|no", "administrators get the record's signed head by mail every day"},
    O_IF_VERSION,
    O_END,
};
const struct cli_option opt_user_list[] = {
    O_LIMIT,
    O_CURSOR,
    {"--search", "TEXT", "whose login or an address begins with this"},
    O_END,
};
const struct cli_option opt_user_create[] = {
    {"--name", "TEXT", "display name"},
    O_PASSWORD,
    {"--address", "ADDRESS", "an address the person may send from; may be given again"},
    O_END,
};
const struct cli_option opt_user_update[] = {
    {"--name", "TEXT", "display name"},
    {"--address", "ADDRESS", "an address the person may send from, instead of those before; may be given again"},
    {"--no-address", NULL, "no address any more"},
    O_IF_VERSION,
    O_END,
};
const struct cli_option opt_user_password[] = {
    O_PASSWORD,
    {"--none", NULL, "no password any more, only application passwords"},
    O_IF_VERSION,
    O_END,
};
const struct cli_option opt_user_access[] = {
    {"--role", "ROLE", "a role the person has; may be given again. Roles not named are taken away"},
    {"--allow", "PERMISSION", "an exception: this too, whatever the roles; may be given again"},
    {"--deny", "PERMISSION", "an exception: never this, whatever the roles; may be given again"},
    {"--none", NULL, "no role and no exception"},
    O_IF_VERSION,
    O_END,
};
const struct cli_option opt_role_put[] = {
    {"--description", "TEXT", "what it is for"},
    {"--permission", "PERMISSION", "what it permits; may be given again"},
    {"--new", NULL, "only if there is none of this name yet"},
    O_IF_VERSION,
    O_END,
};
const struct cli_option opt_group_put[] = {
    {"--description", "TEXT", "what it is for"},
    {"--member", "LOGIN", "a person; may be given again"},
    {"--role", "ROLE", "a role that its members have; may be given again"},
    {"--new", NULL, "only if there is none of this name yet"},
    O_IF_VERSION,
    O_END,
};
const struct cli_option opt_key_list[] = {
    O_LIMIT, O_CURSOR, {"--login", "LOGIN", "keys of this person"}, {"--ended", NULL, "those too that have ended"},
    O_END,
};
const struct cli_option opt_key_create[] = {
    {"--login", "LOGIN", "whose key; none: the tenant's own"},
    {"--permission", "PERMISSION", "what the key may do, such as message.send; may be given again"},
    {"--app-password", NULL, "an application password for SMTP instead of an API key"},
    {"--expires", "TIME", "when it ends, such as 2027-01-31T00:00:00Z"},
    O_END,
};
const struct cli_option opt_key_rotate[] = {
    {"--overlap", "SECONDS",
     "how long the old secret is good beside the new one (at most 30 days; default 0: it ends now)"},
    O_END,
};
const struct cli_option opt_domain_add[] = {
    {"--class", "internal|affiliate|external", "what it is to the tenant (default internal)"},
    {"--assert-proven", NULL, "proven without DNS (platform key only)"},
    {"--tenant", "ID", "whose domain (platform key only)"},
    O_END,
};
const struct cli_option opt_route_set[] = {
    {"--smarthost", "HOST:PORT", "where to send; empty: by MX"},
    {"--username", "NAME", "login at the smarthost"},
    O_PASSWORD,
    {"--tls", "may|encrypt|verify", "encryption (default encrypt)"},
    O_IF_VERSION,
    O_END,
};
const struct cli_option opt_settings_set[] = {
    {"--uncertain", "retry|ask",
     "no answer to the final dot: send again, marked as possible duplicate, or ask an operator"},
    O_IF_VERSION,
    O_END,
};
const struct cli_option opt_sandbox_list[] = {
    O_LIMIT,
    O_CURSOR,
    {"--recipient", "ADDRESS", "exact recipient"},
    O_END,
};
const struct cli_option opt_output[] = {O_OUTPUT, O_END};

#define O_AUDIT_FILTER                                                                                                 \
	{"--actor", "ID", "who: the id of an account or key; the name of a service; system"},                          \
	    {"--action", "ACTION", "what, exactly, or a beginning that ends in a dot: recipient."},                    \
	    {"--outcome", "ok|invalid|denied|not_found|conflict|limit|retry|internal", "with which result"},           \
	    {"--source", "ADDRESS", "from where, exactly"}, {"--subject", "ID", "about this message, person or key"},  \
	    O_FROM, O_UNTIL
const struct cli_option opt_audit_search[] = {
    {"--limit", "N", "at most N (1..1000, default 100)"},
    O_CURSOR,
    O_AUDIT_FILTER,
    O_END,
};
const struct cli_option opt_audit_heads[] = {
    O_LIMIT,
    O_CURSOR,
    {"--checkpoint", NULL, "the newest head as it was signed, to be kept for audit verify --head"},
    {"--verifier-key", NULL, "the key that signs the heads, to be kept for audit verify --key"},
    O_END,
};
const struct cli_option opt_audit_prove[] = {
    {"--first", "SIZE", "instead: the log of this size is the beginning of the later one"},
    {"--size", "SIZE", "in the log of this size (default: the last signed head's)"},
    O_END,
};
const struct cli_option opt_audit_export[] = {
    O_OUTPUT,
    {"--format", "jsonl|csv", "JSON lines that prove themselves (default), or CSV for people"},
    {"--first", "INDEX", "from this entry on"},
    O_AUDIT_FILTER,
    O_END,
};
const struct cli_option opt_audit_verify[] = {
    {"--head", "FILE",
     "a head that was kept from earlier; may be given again. Without one a full rewrite cannot be excluded"},
    {"--key", "KEY", "the key that signs the heads, or a file with it (default: the one that the export names)"},
    {"--quiet", NULL, "do not say what cannot be excluded"},
    O_END,
};
const struct cli_option opt_events[] = {
    {"--after", "POSITION", "what came after this one; -1: from the beginning (default: from now on)"},
    O_TYPE,
    {"--count", "N", "end after N events"},
    O_END,
};
const struct cli_option opt_webhook_create[] = {
    {"--description", "TEXT", "what it is for"},
    O_TYPE,
    {"--disabled", NULL, "made, but nothing is sent yet"},
    O_END,
};
const struct cli_option opt_webhook_update[] = {
    {"--url", "URL", "where to send"},
    {"--description", "TEXT", "what it is for"},
    O_TYPE,
    {"--all-types", NULL, "all events from now on"},
    {"--enable", NULL, "send (again)"},
    {"--disable", NULL, "do not send"},
    O_IF_VERSION,
    O_END,
};
const struct cli_option opt_webhook_rotate[] = {
    {"--overlap", "SECONDS", "how long both secrets sign (at most 7 days; default 0)"},
    O_END,
};
const struct cli_option opt_webhook_attempts[] = {
    O_LIMIT, O_CURSOR, {"--failed", NULL, "only those that failed"}, O_END};
const struct cli_option opt_webhook_replay[] = {
    {"--from", "POSITION", "from this event on"},
    {"--until", "POSITION", "before this one (default: where the webhook stands)"},
    {"--event", "ID", "instead: this event; may be given again"},
    O_END,
};
const struct cli_option opt_webhook_listen[] = {
    {"--port", "PORT", "on 127.0.0.1 (default: a free one)"},
    {"--secret-file", "FILE", "the webhook's secret, first line of a file (default: SEKISHO_WEBHOOK_SECRET)"},
    {"--forward", "URL", "hand what is genuine on to this address, and its answer back"},
    {"--certificate", "FILE", "speak HTTPS with this certificate (PEM)"},
    {"--certificate-key", "FILE", "and its key (PEM)"},
    {"--count", "N", "end after N genuine events"},
    O_END,
};
const struct cli_option opt_man[] = {{"--output", "DIRECTORY", "write every page into this folder"}, O_END};
