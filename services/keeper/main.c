/* SPDX-License-Identifier: MIT
 *
 * sekisho-keeper: the caretaker. Configuration and tables.
 */
#include "keeper.h"

struct keeper_config keeper_config;

static const struct config_entry config[] = {
    {"SEKISHO_KEEPER_ASSERT_EVERY", CONFIG_DURATION, &keeper_config.assert_every_ms, "2s", 50, 600000,
     "how often streams and consumers are looked at"},
    {"SEKISHO_KEEPER_COUNT_EVERY", CONFIG_DURATION, &keeper_config.count_every_ms, "60s", 1000, 86400000,
     "how often recipients are counted for the metrics"},
    {"SEKISHO_KEEPER_STUCK_AFTER", CONFIG_DURATION, &keeper_config.stuck_after_ms, "10m", 1000, 86400000,
     "age at which an accepted recipient without a leg is a violation"},
    {"SEKISHO_KEEPER_STREAM_MAX_AGE", CONFIG_DURATION, &keeper_config.stream_max_age_ms, "1h", 60000, 86400000,
     "age at which a stream drops an event; outboxes send it again"},
    {"SEKISHO_KEEPER_STREAM_MAX_BYTES", CONFIG_SIZE, &keeper_config.stream_max_octets, "256M", 1 << 20, 1LL << 40,
     "octets at which a stream drops its oldest event"},
    {"SEKISHO_KEEPER_STREAM_REPLICAS", CONFIG_INT, &keeper_config.stream_replicas, "1", 1, 5,
     "copies of a stream in a cluster of NATS servers"},
    CONFIG_END,
};

static enum rc
init(struct svc *s, struct err *e)
{
	return keeper_rounds_start(s, e);
}

static bool
ready(struct svc *s, char *why, size_t size)
{
	return keeper_streams_ready(why, size);
}

static void
done(struct svc *s)
{
	keeper_rounds_stop();
}

static const struct svc_program program = {
    .name = "keeper",
    .prefix = "SEKISHO_KEEPER_",
    .needs = SVC_DB | SVC_BUS | SVC_ACTORS,
    .intent_sql = DB_INTENT_SQL("keeper"),
    .config = config,
    .endpoints = keeper_endpoints,
    .metrics = keeper_metrics,
    .init = init,
    .ready = ready,
    .done = done,
};

int
main(int argc, char **argv)
{
	return svc_main(&program, argc, argv);
}
