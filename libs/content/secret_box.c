/* SPDX-License-Identifier: MIT
 *
 * What is sealed under a tenant's data key but is no message: small secrets, and keys made from it for one purpose. A
 * sealed secret begins with version, epoch of the tenant's key and a salt that makes the key new each time.
 */
#include "content/content_internal.h"
#include "crypt/secret.h"

#define SECRET_VERSION	 1
#define SECRET_HEAD_SIZE (1 + 4 + 16) /* version, epoch, salt */
#define LABEL_MAX	 200

struct secret_box {
	uint8_t key[CRYPT_KEY_SIZE];
	uint8_t aad[16 + LABEL_MAX];
	size_t aad_n;
};
static const uint8_t zero_nonce[CRYPT_NONCE_SIZE]; /* the salt makes the key new each time */

static enum rc
secret_box(struct secret_box *b, const uint8_t tenant_key[CRYPT_KEY_SIZE], const struct uuid *tenant, const char *label,
	   const uint8_t head[SECRET_HEAD_SIZE], struct err *e)
{
	size_t n = strlen(label);
	if (n > LABEL_MAX)
		return err_set(e, RC_INVALID, "the label of a secret is too long");
	memcpy(b->aad, tenant->b, 16);
	memcpy(b->aad + 16, label, n);
	b->aad_n = 16 + n;
	return crypt_hkdf(bytes_of(tenant_key, CRYPT_KEY_SIZE), bytes_of(head, SECRET_HEAD_SIZE),
			  bytes_str("sekisho secret"), b->key, e);
}

enum rc
content_seal_secret(struct content *c, const struct uuid *tenant, const char *label, struct bytes plain,
		    struct buf *sealed, struct err *e)
{
	uint8_t head[SECRET_HEAD_SIZE] = {SECRET_VERSION}, key[CRYPT_KEY_SIZE];
	struct secret_box b;
	size_t before = sealed->n;
	int32_t epoch = 0;
	enum rc rc = keys_current(c->keys, tenant, &epoch, key, e);
	if (rc != RC_OK)
		return rc;
	for (int i = 0; i < 4; i++)
		head[1 + i] = (uint8_t)((uint32_t)epoch >> (24 - 8 * i));
	random_bytes(head + 5, 16);
	rc = secret_box(&b, key, tenant, label, head, e);
	buf_add(sealed, head, sizeof(head));
	if (rc == RC_OK)
		rc = crypt_seal(b.key, zero_nonce, bytes_of(b.aad, b.aad_n), plain, sealed, e);
	secret_wipe(key, sizeof(key));
	secret_wipe(&b, sizeof(b));
	if (rc != RC_OK)
		sealed->n = before;
	return rc;
}

enum rc
content_open_secret(struct content *c, const struct uuid *tenant, const char *label, struct bytes sealed,
		    struct buf *plain, struct err *e)
{
	uint8_t key[CRYPT_KEY_SIZE];
	struct secret_box b;
	uint32_t epoch = 0;
	if (sealed.n < SECRET_HEAD_SIZE + CRYPT_TAG_SIZE || sealed.p[0] != SECRET_VERSION)
		return err_set(e, RC_INVALID, "not a sealed secret");
	for (int i = 0; i < 4; i++)
		epoch = epoch << 8 | sealed.p[1 + i];
	enum rc rc = keys_of(c->keys, NULL, tenant, (int32_t)epoch, key, e);
	if (rc == RC_NOT_FOUND)
		return err_set(e, RC_INVALID, "the secret is sealed under a key that is gone");
	if (rc != RC_OK)
		return rc;
	rc = secret_box(&b, key, tenant, label, sealed.p, e);
	if (rc == RC_OK)
		rc = crypt_open(b.key, zero_nonce, bytes_of(b.aad, b.aad_n),
				bytes_of(sealed.p + SECRET_HEAD_SIZE, sealed.n - SECRET_HEAD_SIZE), plain, e);
	secret_wipe(key, sizeof(key));
	secret_wipe(&b, sizeof(b));
	return rc;
}

enum rc
content_derive_key(struct content *c, const struct uuid *tenant, int32_t *epoch, const char *purpose,
		   uint8_t key[CRYPT_KEY_SIZE], struct err *e)
{
	uint8_t data_key[CRYPT_KEY_SIZE];
	int32_t found = *epoch;
	enum rc rc = *epoch == 0 ? keys_current(c->keys, tenant, &found, data_key, e)
				 : keys_of(c->keys, NULL, tenant, *epoch, data_key, e);
	if (rc != RC_OK)
		return rc;
	rc = crypt_hkdf(bytes_of(data_key, sizeof(data_key)), bytes_of(tenant->b, sizeof(tenant->b)),
			bytes_str(purpose), key, e);
	secret_wipe(data_key, sizeof(data_key));
	if (rc == RC_OK)
		*epoch = found;
	return rc;
}
