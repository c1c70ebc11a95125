/* SPDX-License-Identifier: MIT
 *
 * Gaps: a number that is missing among those a writer gave its intents. Only looked for when everything below one point
 * was read, since a writer's numbers go to many tenants: while the log of one is stuck, what is missing may lie there.
 * That nobody looks is itself told. The appender's thread.
 */
#include "audit.h"
#include "core/clock.h"
#include "core/log.h"
#include "store.h"

#define DEADLINE_MS  30000
#define UNWATCHED_MS 60000 /* longer than a restart of what is needed takes */

static enum rc
report_gap(const struct store_gap *g, struct err *e)
{
	static const struct uuid platform;
	struct db_tx *tx = NULL;
	struct buf detail;
	char epoch[UUID_STR_SIZE];
	uuid_format(&g->epoch, epoch);
	buf_init(&detail, 0);
	buf_addf(&detail, "{\"epoch\":\"%s\",\"missing\":\"%s\",\"writer\":\"%s\"}", epoch, g->missing, g->writer);
	struct audit_intent i = {.action = "audit.gap",
				 .outcome = "ok",
				 .actor = bytes_str("system"),
				 .subject = g->epoch,
				 .number = -1,
				 .at_us = clock_wall_us(),
				 .detail = buf_bytes(&detail)};
	enum rc rc = db_begin(audit.svc->db, &platform, clock_mono_ms() + DEADLINE_MS, &tx, e);
	if (rc == RC_OK)
		rc = store_gap_close(tx, g, e);
	if (rc == RC_OK)
		rc = db_intent(tx, &i, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	buf_done(&detail);
	if (rc == RC_OK) {
		metric_add(&audit_metric_gaps, 0, 1);
		log_error("audit intents are missing", LOG_STR("writer", g->writer), LOG_STR("epoch", epoch),
			  LOG_STR("numbers", g->missing));
	}
	return rc;
}

enum rc
gaps_look(struct arena *a, struct err *e)
{
	struct store_gap *v;
	size_t n = 0;
	enum rc rc = store_gaps(audit.svc->db, clock_mono_ms() + DEADLINE_MS, a, &v, &n, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = report_gap(&v[i], e);
	return rc;
}

void
gaps_watched(bool complete, const struct uuid *stuck, size_t n_stuck)
{
	static int64_t since;
	static bool said;
	int64_t now = clock_mono_ms();
	if (complete && said)
		log_info("gaps are looked for again");
	if (complete || since == 0) {
		since = now;
		said = false;
	}
	metric_set(&audit_metric_unwatched, 0, (now - since) / 1000);
	if (now - since < UNWATCHED_MS || said)
		return;
	said = true;
	if (n_stuck > 0)
		log_error("gaps are not looked for: this log, and maybe others, is not read to its end",
			  LOG_TENANT(stuck), LOG_INT("logs", n_stuck));
	else
		log_error("gaps are not looked for: no round was complete");
}
