/* SPDX-License-Identifier: MIT
 *
 * A connection to a next hop: TCP, then perhaps TLS. Blocking with deadlines; one thread at a time. Every failure is
 * RC_RETRY with a text for the record.
 */
#ifndef DELIVERY_WIRE_H
#define DELIVERY_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/bytes.h"
#include "core/rc.h"
#include "smtp/reply.h"

struct wire;

/* ca: file of certificate authorities, empty: the system's. Once, before the first connection. */
enum rc wire_init(const char *ca, struct err *e) MUST_CHECK;
void wire_done(void);

/* address: numeric, IPv4 or IPv6. */
enum rc wire_connect(const char *address, int port, int64_t timeout_ms, struct wire **out_r, struct err *e) MUST_CHECK;
void wire_close(struct wire **w);
/* TLS handshake. What the peer sent in clear before it makes it fail. host: for SNI and verification. verify: a
 * certificate that does not fit ends the handshake; otherwise it is only noted. */
enum rc wire_start_tls(struct wire *w, const char *host, bool verify, int64_t timeout_ms, struct err *e) MUST_CHECK;
bool wire_has_tls(const struct wire *w);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384 verified", "... unverified", "none". */
void wire_tls_text(const struct wire *w, char *out, size_t size);

/* *all_r (may be NULL): every octet was handed to the system, so that the peer may have got them. */
enum rc wire_write(struct wire *w, struct bytes b, int64_t timeout_ms, bool *all_r, struct err *e) MUST_CHECK;
/* One whole reply. */
enum rc wire_reply(struct wire *w, struct smtp_reply *reply, int64_t timeout_ms, struct err *e) MUST_CHECK;
/* Nothing unread and still open: an idle connection may be used again. */
bool wire_quiet(struct wire *w);

#endif
