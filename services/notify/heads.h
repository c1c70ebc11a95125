/* SPDX-License-Identifier: MIT
 *
 * Rounds that nobody waits for, on one thread: once a day each tenant's last signed head goes by mail to the people who
 * may read its record, if it has grown and the tenant wants it; and the log of attempts is kept within its bounds.
 */
#ifndef NOTIFY_HEADS_H
#define NOTIFY_HEADS_H

#include "svc/svc.h"

struct heads *heads_start(struct svc *s);
void heads_stop(struct heads **h); /* NULL is fine */

#endif
