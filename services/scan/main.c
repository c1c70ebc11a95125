/* SPDX-License-Identifier: MIT
 *
 * sekisho-scan: the cage. Configuration, health listener, then the parent's loop (parent.c). Links neither bus nor
 * database.
 */
#include <stdio.h>
#include <string.h>

#include "core/config.h"
#include "core/log.h"
#include "scan.h"
#include "scan_metrics.h"

#define PREFIX "SEKISHO_SCAN_"

static struct scan scan;

static const struct config_entry entries[] = {
    {PREFIX "SOCKET", CONFIG_STRING, &scan.config.socket, NULL, .help = "Unix socket to listen on"},
    {PREFIX "DB", CONFIG_STRING, &scan.config.db, NULL, .help = "folder of signature files"},
    {PREFIX "TMP", CONFIG_STRING, &scan.config.tmp, NULL, .help = "folder for the workers' temp folders"},
    {PREFIX "TMP_SIZE", CONFIG_SIZE, &scan.config.tmp_octets, "256M", 1 << 20, 1LL << 36,
     "octets of one worker's temp folder; half of it is the largest file unpacked"},
    {PREFIX "WORKERS", CONFIG_INT, &scan.config.workers, "3", 1, PAGE_WORKERS_MAX,
     "worker processes; one tenant holds at most all but one"},
    {PREFIX "RETIRE_AFTER", CONFIG_INT, &scan.config.retire_after, "10000", 1, 1LL << 40,
     "scans after which a worker is replaced"},
    {PREFIX "TIMEOUT", CONFIG_DURATION, &scan.config.timeout_ms, "30s", 100, 3600000, "longest scan of one message"},
    {PREFIX "MEMORY", CONFIG_SIZE, &scan.config.memory_octets, "1G", 64 << 20, 1LL << 36,
     "octets a worker may map on top of the signatures"},
    {PREFIX "MESSAGE_MAX", CONFIG_SIZE, &scan.config.message_octets, "100M", 1024, 1LL << 31,
     "octets of the largest message taken"},
    {PREFIX "MAX_AGE", CONFIG_DURATION, &scan.config.max_age_ms, "3d", 0, 366LL * 86400000,
     "age of the newest signatures at which scanning stops; alert at half; 0s: never"},
    {PREFIX "RELOAD_EVERY", CONFIG_DURATION, &scan.config.reload_ms, "10s", 50, 86400000,
     "how often the signature folder is looked at"},
    {PREFIX "SELFTEST_EVERY", CONFIG_DURATION, &scan.config.selftest_ms, "60s", 50, 3600000,
     "how often a worker proves that it still finds EICAR"},
    {PREFIX "HEALTH_LISTEN", CONFIG_STRING, &scan.config.health_listen, "",
     .help = "host:port of /healthz, /readyz, /metrics; empty: none"},
    {"SEKISHO_LOG_LEVEL", CONFIG_STRING, &scan.config.log_level, "info", .help = "debug, info, warn or error"},
    CONFIG_END,
};
static const struct config_entry *const tables[] = {entries, NULL};

static int
fail(const struct err *e, int status)
{
	fprintf(stderr, "sekisho-scan: %s\n", e->text);
	return status;
}

int
main(int argc, char **argv)
{
	struct err e;
	enum log_level level;
	struct health *health = NULL;
	if (config_load(tables, PREFIX, &e) != RC_OK)
		return fail(&e, CONFIG_EXIT);
	if (log_level_parse(scan.config.log_level, &level) != RC_OK) {
		err_set(&e, RC_INVALID, "SEKISHO_LOG_LEVEL: debug, info, warn or error, not '%s'",
			scan.config.log_level);
		return fail(&e, CONFIG_EXIT);
	}
	if (argc == 2 && strcmp(argv[1], "--check-config") == 0) {
		config_print(tables, stdout);
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "usage: sekisho-scan [--check-config]\n");
		return 64;
	}
	log_init("scan", level);
	if (page_new(&scan.page, &e) != RC_OK || scan_metrics_open(&scan, &health, &e) != RC_OK)
		return fail(&e, 1);
	enum rc rc = parent_run(&scan, &e);
	scan_metrics_close(&health);
	return rc == RC_OK ? 0 : fail(&e, 1);
}
