/* SPDX-License-Identifier: MIT
 *
 * What the rooms of this service share: configuration in force and the parts that main.c starts.
 */
#ifndef NOTIFY_NOTIFY_H
#define NOTIFY_NOTIFY_H

#include "course.h"
#include "guard.h"
#include "svc/svc.h"

struct turns;
struct heads;

struct notify_config {
	const char *retry, *ports, *allow, *ca;
	bool allow_http;
	int64_t disable_ms;
	int64_t timeout_ms, connect_ms;
	int64_t senders, per_tenant;
	int64_t lease_ms, idle_ms;
	int64_t keep_attempts, keep_ms;
	int64_t heads_ms; /* length of the period in which a head is mailed once */
	/* derived */
	struct guard guard;
	struct course_ladder ladder;
};

struct notify {
	struct svc *svc;
	struct turns *turns;
	struct heads *heads;
};

extern struct notify_config notify_config;
extern struct notify notify;

/* What is derived from the configuration; RC_INVALID names the variable. */
enum rc notify_config_parse(struct notify_config *c, struct err *e) MUST_CHECK;

#endif
