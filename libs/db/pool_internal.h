/* SPDX-License-Identifier: MIT */
#ifndef DB_POOL_INTERNAL_H
#define DB_POOL_INTERNAL_H

#include "db/db_internal.h"

/* A live connection in pipeline mode, outside any transaction. */
enum rc pool_take(struct db_pool *p, int64_t deadline_ms, struct db_conn **out_r, struct err *e) MUST_CHECK;
/* broken: close it instead of keeping it. */
void pool_give(struct db_pool *p, struct db_conn *c, bool broken);

#endif
