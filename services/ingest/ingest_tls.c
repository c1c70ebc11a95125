/* SPDX-License-Identifier: MIT */
#include "ingest_tls.h"

#include <stdio.h>
#include <sys/stat.h>

#include <openssl/err.h>

static enum rc
failed(struct err *e, const char *path)
{
	char why[160];
	ERR_error_string_n(ERR_get_error(), why, sizeof(why));
	return err_set(e, RC_INVALID, "TLS: %.60s: %s", path, why);
}

static enum rc
set_up(SSL_CTX *ctx, const char *cert_path, const char *key_path, struct err *e)
{
	static const unsigned char id[] = "sekisho-ingest";
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
				     SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_id_context(ctx, id, sizeof(id) - 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept per client */
	SSL_CTX_set_num_tickets(ctx, 1);
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1)
		return failed(e, cert_path);
	if (SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return failed(e, key_path);
	return RC_OK;
}

enum rc
tls_open(const char *cert_path, const char *key_path, SSL_CTX **out_r, struct err *e)
{
	*out_r = NULL;
	if (cert_path[0] == '\0' && key_path[0] == '\0')
		return RC_OK;
	if (cert_path[0] == '\0' || key_path[0] == '\0')
		return err_set(e, RC_INVALID, "TLS: certificate and key go together");
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL)
		return err_set(e, RC_INTERNAL, "TLS: out of memory");
	enum rc rc = set_up(ctx, cert_path, key_path, e);
	if (rc != RC_OK)
		SSL_CTX_free(ctx);
	else
		*out_r = ctx;
	return rc;
}

uint64_t
tls_files_version(const char *cert_path, const char *key_path)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a */
	const char *const paths[] = {cert_path, key_path};
	for (int i = 0; i < 2; i++) {
		struct stat st;
		if (stat(paths[i], &st) != 0)
			return 0;
		const uint64_t parts[] = {st.st_dev, st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
					  (uint64_t)st.st_mtim.tv_nsec};
		for (size_t k = 0; k < sizeof(parts) / sizeof(*parts); k++)
			h = (h ^ parts[k]) * 1099511628211u;
	}
	return h != 0 ? h : 1;
}

void
tls_describe(const SSL *ssl, char *out, size_t size)
{
	snprintf(out, size, "%s %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
}
