/* SPDX-License-Identifier: MIT
 *
 * The server's TLS (OpenSSL 3): TLS 1.2 and 1.3, tickets, no renegotiation, buffers of idle connections released.
 */
#ifndef INGEST_TLS_H
#define INGEST_TLS_H

#include <openssl/ssl.h>

#include "core/rc.h"

/* Both empty: *out_r NULL, no TLS. RC_INVALID when key and certificate cannot be used. */
enum rc tls_open(const char *cert_path, const char *key_path, SSL_CTX **out_r, struct err *e) MUST_CHECK;
/* Which files they are: changes when one of them is written or replaced. 0 when one cannot be seen. */
uint64_t tls_files_version(const char *cert_path, const char *key_path);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
void tls_describe(const SSL *ssl, char *out, size_t size);

#endif
