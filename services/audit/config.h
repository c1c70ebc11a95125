/* SPDX-License-Identifier: MIT */
#ifndef AUDIT_CONFIG_H
#define AUDIT_CONFIG_H

#include "core/config.h"

extern const struct config_entry audit_config_table[];
/* What a table cannot say: folders, the host name. */
enum rc audit_config_check(struct err *e) MUST_CHECK;

#endif
