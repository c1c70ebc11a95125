/* SPDX-License-Identifier: MIT
 *
 * Where strangers may send us: an MX record and a tenant's route are somebody else's word, and must not lead a
 * connection of ours to this machine or its neighbours. Pure.
 */
#ifndef DELIVERY_REACH_H
#define DELIVERY_REACH_H

#include <stdbool.h>

#include "core/rc.h"

/* A numeric address that is none of: unspecified, loopback, private, shared, link-local, unique local, multicast,
 * reserved (RFC 6890), nor an IPv6 form that carries such an IPv4 address. */
bool reach_public(const char *address) MUST_CHECK;
/* A port on which mail is taken: 25, 465, 587, 2525. */
bool reach_mail_port(int port) MUST_CHECK;

#endif
