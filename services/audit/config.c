/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"

const struct config_entry audit_config_table[] = {
    {"SEKISHO_AUDIT_KEY", CONFIG_PATH, &audit.config.key, NULL, 0, 0,
     "file with the Ed25519 key that signs heads (PEM); the database must not hold it"},
    {"SEKISHO_AUDIT_JOURNAL", CONFIG_PATH, &audit.config.journal, NULL, 0, 0,
     "folder of the copy outside the database; on other disks than the database's"},
    {"SEKISHO_AUDIT_HEADS", CONFIG_PATH, &audit.config.heads, "", 0, 0,
     "folder that gets the last head of each log; empty: none"},
    {"SEKISHO_AUDIT_WITNESS", CONFIG_STRING, &audit.config.witness, "", 0, 0,
     "URL that takes each head as a POST: https, or http on this machine; empty: none"},
    {"SEKISHO_AUDIT_WITNESS_CA", CONFIG_PATH, &audit.config.witness_ca, "", 0, 0,
     "certificate authority of the witness; empty: the system's"},
    {"SEKISHO_AUDIT_HOSTNAME", CONFIG_STRING, &audit.config.hostname, NULL, 0, 0,
     "host name in the logs' names (<host>/audit/<tenant>); never to be changed"},
    {"SEKISHO_AUDIT_HEAD_EVERY", CONFIG_DURATION, &audit.config.head_every_ms, "10s", 0, INT64_C(86400000),
     "a log that has grown gets a signed head this often"},
    {"SEKISHO_AUDIT_ROUND", CONFIG_DURATION, &audit.config.round_ms, "1s", 10, 10000,
     "pause between looks for new intents"},
    {"SEKISHO_AUDIT_SEGMENT", CONFIG_SIZE, &audit.config.segment_octets, "64M", 4096, INT64_C(4294967296),
     "size of a file of the journal"},
    CONFIG_END,
};

static enum rc
writable_folder(const char *name, const char *path, struct err *e)
{
	struct stat st;
	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode) || access(path, W_OK | X_OK) != 0)
		return err_set(e, RC_INVALID, "%s: %s is not a folder that can be written", name, path);
	return RC_OK;
}

enum rc
audit_config_check(struct err *e)
{
	const char *host = audit.config.hostname;
	enum rc rc = writable_folder("SEKISHO_AUDIT_JOURNAL", audit.config.journal, e);
	if (rc == RC_OK && audit.config.heads[0] != 0)
		rc = writable_folder("SEKISHO_AUDIT_HEADS", audit.config.heads, e);
	if (rc != RC_OK)
		return rc;
	size_t n = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:");
	if (n == 0 || host[n] != 0 || n > 200)
		return err_set(e, RC_INVALID, "SEKISHO_AUDIT_HOSTNAME: \"%.60s\" is not a host name", host);
	return RC_OK;
}
