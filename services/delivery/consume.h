/* SPDX-License-Identifier: MIT
 *
 * mail.accepted becomes legs: the consumer of stream MAIL.
 */
#ifndef DELIVERY_CONSUME_H
#define DELIVERY_CONSUME_H

#include "bus/consumer.h"
#include "delivery.h"

enum rc consume_start(struct delivery *d, struct consumer **out_r, struct err *e) MUST_CHECK;

#endif
