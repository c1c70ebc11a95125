/* SPDX-License-Identifier: MIT
 *
 * What the files of the stub share: pack, ask, unpack.
 */
#ifndef CLIENT_AUTH_CLIENT_INTERNAL_H
#define CLIENT_AUTH_CLIENT_INTERNAL_H

#include "client/auth_client.h"
#include "proto/auth.pb-c.h"

/* in: the packed message's type; reply_r: pointer to a pointer to the answer's type. tenant NULL: none beside the
 * token's. */
enum rc auth_client_call(const struct auth_call *c, const struct uuid *tenant, const char *subject, const void *in,
			 const ProtobufCMessageDescriptor *out, struct arena *a, void *reply_r,
			 struct err *e) MUST_CHECK;
/* Octets that stand in a string field: a NUL inside would cut them short unseen. */
enum rc auth_client_text(struct bytes b, size_t max, struct arena *a, char **out_r, struct err *e) MUST_CHECK;
ProtobufCBinaryData auth_client_id(const struct uuid *u);
enum rc auth_client_take_id(ProtobufCBinaryData b, struct uuid *out_r, struct err *e) MUST_CHECK;
struct auth_domain *auth_client_domains(Sekisho__Auth__Domain *const *v, size_t n, struct arena *a);

#endif
