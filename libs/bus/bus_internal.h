/* SPDX-License-Identifier: MIT
 *
 * What the files of libs/bus share. Nobody else includes this: nats.c's handles stay here.
 */
#ifndef BUS_BUS_INTERNAL_H
#define BUS_BUS_INTERNAL_H

#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>

#include "bus/bus.h"

struct server;
struct listener;
struct callers;

struct bus {
	natsConnection *nc;
	natsOptions *options;
	char *service;
	pthread_mutex_t lock; /* the lists */
	struct server *servers;
	struct listener *listeners;
	struct callers *callers;
	_Atomic bool stopping, stuck; /* stuck: a handler did not end in time */
	_Atomic uint64_t calls, calls_failed, requests, served, served_failed, expired, undecodable, published,
	    reconnects;
};

enum rc bus_fail(natsStatus s, struct err *e, const char *what);
/* The tenant that ends a subject, or false. */
bool bus_subject_tenant(const char *subject, struct uuid *out_r) MUST_CHECK;

#endif
