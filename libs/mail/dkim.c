/* SPDX-License-Identifier: MIT
 *
 * Signing. The body hash is made once for all keys; the canonical header is built once per key because the signature
 * field itself is its last part.
 */
#include "mail/dkim.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "mail/dkim_canon.h"

#define FOLD_AT	   72
#define FIELDS_MAX 2100

struct dkim_key {
	enum dkim_algorithm alg;
	EVP_PKEY *pkey;
	char *domain, *selector;
};

/* Signed once more than they occur. */
static const char *const oversigned[] = {
    "From",	  "To",	      "Cc",	      "Subject",      "Date",
    "Message-ID", "Reply-To", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    NULL};
/* Signed as often as they occur. */
static const char *const signed_too[] = {
    "Sender",		"In-Reply-To",		 "References",		"Auto-Submitted",   "List-Id",
    "List-Unsubscribe", "List-Unsubscribe-Post", "Content-Disposition", "Content-Language", NULL};

const char *
dkim_algorithm_str(enum dkim_algorithm a)
{
	return a == DKIM_RSA_SHA256 ? "rsa-sha256" : "ed25519-sha256";
}

bool
dkim_algorithm_parse(const char *name, enum dkim_algorithm *out_r)
{
	for (enum dkim_algorithm a = DKIM_RSA_SHA256; a <= DKIM_ED25519_SHA256; a++)
		if (strcmp(name, dkim_algorithm_str(a)) == 0) {
			*out_r = a;
			return true;
		}
	return false;
}

enum dkim_algorithm
dkim_key_algorithm(const struct dkim_key *k)
{
	return k->alg;
}

/* --- base64 ------------------------------------------------------------------------------------------------ */
static void
add_base64(struct buf *out, const void *p, size_t n)
{
	uint8_t *to = buf_reserve(out, (n + 2) / 3 * 4 + 1);
	if (to != NULL)
		out->n += (size_t)EVP_EncodeBlock(to, p, (int)n);
}

/* --- keys -------------------------------------------------------------------------------------------------- */
static enum rc
add_der(struct buf *out, uint8_t *der, int n, struct err *e)
{
	if (n <= 0)
		return err_set(e, RC_INTERNAL, "dkim: cannot encode a key");
	buf_add(out, der, (size_t)n);
	OPENSSL_clear_free(der, (size_t)n);
	return buf_ok(out) ? RC_OK : err_set(e, RC_INTERNAL, "dkim: out of memory");
}

/* p= of Ed25519 is the raw public key (RFC 8463, 4.2), of RSA its SubjectPublicKeyInfo (as everybody does). */
static enum rc
add_public(enum dkim_algorithm alg, EVP_PKEY *pkey, struct buf *out, struct err *e)
{
	uint8_t raw[32], *der = NULL;
	size_t n = sizeof(raw);
	if (alg == DKIM_ED25519_SHA256) {
		if (EVP_PKEY_get_raw_public_key(pkey, raw, &n) != 1)
			return err_set(e, RC_INTERNAL, "dkim: no public key");
		add_base64(out, raw, n);
	} else {
		int k = i2d_PUBKEY(pkey, &der);
		if (k <= 0)
			return err_set(e, RC_INTERNAL, "dkim: no public key");
		add_base64(out, der, (size_t)k);
		OPENSSL_free(der);
	}
	return buf_ok(out) ? RC_OK : err_set(e, RC_INTERNAL, "dkim: out of memory");
}

enum rc
dkim_key_make(enum dkim_algorithm alg, struct buf *pkcs8, struct buf *public_b64, struct err *e)
{
	EVP_PKEY *pkey = alg == DKIM_RSA_SHA256 ? EVP_RSA_gen(2048) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (pkey == NULL)
		return err_set(e, RC_INTERNAL, "dkim: cannot make a key");
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	uint8_t *der = NULL;
	int n = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;
	enum rc rc = add_der(pkcs8, der, n, e);
	if (rc == RC_OK)
		rc = add_public(alg, pkey, public_b64, e);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(pkey);
	return rc;
}

enum rc
dkim_key_open(enum dkim_algorithm alg, struct bytes pkcs8, const char *domain, const char *selector,
	      struct dkim_key **out_r, struct err *e)
{
	const uint8_t *p = pkcs8.p;
	EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &p, (long)pkcs8.n);
	int want = alg == DKIM_RSA_SHA256 ? EVP_PKEY_RSA : EVP_PKEY_ED25519;
	if (pkey == NULL || EVP_PKEY_base_id(pkey) != want || (want == EVP_PKEY_RSA && EVP_PKEY_bits(pkey) < 1024)) {
		EVP_PKEY_free(pkey);
		return err_set(e, RC_INVALID, "dkim: no %s key", dkim_algorithm_str(alg));
	}
	struct dkim_key *k = calloc(1, sizeof(*k));
	if (k == NULL || (k->domain = strdup(domain)) == NULL || (k->selector = strdup(selector)) == NULL)
		abort();
	k->alg = alg;
	k->pkey = pkey;
	*out_r = k;
	return RC_OK;
}

void
dkim_key_free(struct dkim_key **k)
{
	if (k == NULL || *k == NULL)
		return;
	EVP_PKEY_free((*k)->pkey);
	free((*k)->domain);
	free((*k)->selector);
	free(*k);
	*k = NULL;
}

/* --- what is signed ---------------------------------------------------------------------------------------- */
static bool
name_is(struct bytes field, const char *name)
{
	size_t n = strlen(name);
	if (field.n <= n || !bytes_ieq(bytes_of(field.p, n), bytes_str(name)))
		return false;
	while (n < field.n && (field.p[n] == ' ' || field.p[n] == '\t'))
		n++;
	return n < field.n && field.p[n] == ':';
}

struct chosen {
	size_t field[FIELDS_MAX]; /* in the order of h= */
	size_t n;
	struct buf names; /* the h= value */
};

/* RFC 6376, 5.4.2: of a name that occurs more than once, the lowest field is signed first. */
static bool
choose(const struct dkim_message *m, const char *name, bool over, struct chosen *c)
{
	bool any = false;
	for (size_t i = m->n_fields; i > 0; i--) {
		if (!name_is(m->fields[i - 1], name))
			continue;
		if (c->n == FIELDS_MAX)
			return false;
		c->field[c->n++] = i - 1;
		buf_addf(&c->names, "%s%s", c->names.n > 0 ? ":" : "", name);
		any = true;
	}
	if (over)
		buf_addf(&c->names, "%s%s", c->names.n > 0 ? ":" : "", name);
	return any;
}

static enum rc
choose_all(const struct dkim_message *m, struct chosen *c, struct err *e)
{
	for (size_t i = 0; oversigned[i] != NULL; i++)
		if (!choose(m, oversigned[i], true, c) && i == 0)
			return err_set(e, RC_INVALID, "dkim: the message has no From");
	for (size_t i = 0; signed_too[i] != NULL; i++)
		choose(m, signed_too[i], false, c);
	return buf_ok(&c->names) ? RC_OK : err_set(e, RC_LIMIT, "dkim: too many header fields");
}

static void
hash_body(void *ctx, const void *p, size_t n)
{
	EVP_DigestUpdate(ctx, p, n);
}

static enum rc
body_hash(const struct dkim_message *m, struct buf *b64, struct err *e)
{
	uint8_t digest[32];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct dkim_canon_body *c = malloc(sizeof(*c));
	bool ok = md != NULL && c != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
	if (ok) {
		dkim_canon_body_init(c, hash_body, md);
		for (size_t i = 0; i < m->n_body; i++)
			dkim_canon_body_feed(c, m->body[i]);
		dkim_canon_body_end(c);
		ok = EVP_DigestFinal_ex(md, digest, NULL) == 1;
	}
	if (ok)
		add_base64(b64, digest, sizeof(digest));
	EVP_MD_CTX_free(md);
	free(c);
	return ok && buf_ok(b64) ? RC_OK : err_set(e, RC_INTERNAL, "dkim: cannot hash the body");
}

/* --- signing ----------------------------------------------------------------------------------------------- */
static enum rc
raw_sign(const struct dkim_key *k, struct bytes header, struct buf *b64, struct err *e)
{
	uint8_t sig[1024], digest[32];
	size_t n = sizeof(sig);
	const void *in = header.p;
	size_t in_n = header.n;
	const EVP_MD *md = EVP_sha256();
	if (k->alg == DKIM_ED25519_SHA256) { /* RFC 8463, 3: PureEdDSA over the SHA-256 of the header */
		if (EVP_Digest(header.p, header.n, digest, NULL, md, NULL) != 1)
			return err_set(e, RC_INTERNAL, "dkim: cannot hash the header");
		in = digest;
		in_n = sizeof(digest);
		md = NULL;
	}
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, md, NULL, k->pkey) == 1 &&
		  EVP_DigestSign(ctx, sig, &n, in, in_n) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return err_set(e, RC_INTERNAL, "dkim: cannot sign");
	add_base64(b64, sig, n);
	return RC_OK;
}

/* value in lines of at most FOLD_AT octets; column is where the line stands. */
static void
add_folded(struct buf *out, struct bytes value, size_t column, char after)
{
	for (size_t i = 0; i < value.n;) {
		size_t n = FOLD_AT > column ? FOLD_AT - column : 1;
		if (n > value.n - i)
			n = value.n - i;
		else if (after != 0) { /* break only behind that character */
			size_t k = n;
			while (k > 0 && value.p[i + k - 1] != (uint8_t)after)
				k--;
			if (k == 0)
				while (n < value.n - i && value.p[i + n - 1] != (uint8_t)after)
					n++;
			else
				n = k;
		}
		buf_add(out, value.p + i, n);
		i += n;
		column = 1;
		if (i < value.n)
			buf_add_str(out, "\r\n\t");
	}
}

static enum rc
sign_one(const struct dkim_message *m, const struct dkim_key *k, const struct chosen *c, struct bytes bh,
	 struct bytes canon, struct buf *out, struct err *e)
{
	struct buf field, all, b64;
	buf_init(&field, 0);
	buf_init(&all, 0);
	buf_init(&b64, 0);
	buf_addf(&field, "DKIM-Signature: v=1; a=%s; c=relaxed/relaxed;\r\n\td=%s; s=%s;\r\n\tt=%lld; bh=",
		 dkim_algorithm_str(k->alg), k->domain, k->selector, (long long)m->signed_at);
	buf_add_bytes(&field, bh);
	buf_add_str(&field, ";\r\n\th=");
	add_folded(&field, buf_bytes(&c->names), 3, ':');
	buf_add_str(&field, ";\r\n\tb=");
	buf_add_bytes(&all, canon);
	dkim_canon_field(buf_bytes(&field), &all);
	enum rc rc = RC_OK;
	if (!buf_ok(&field) || !buf_ok(&all))
		rc = err_set(e, RC_INTERNAL, "dkim: out of memory");
	else
		rc = raw_sign(k, bytes_of(all.p, all.n - 2), &b64, e); /* without the field's own CRLF */
	if (rc == RC_OK) {
		buf_add_bytes(out, buf_bytes(&field));
		add_folded(out, buf_bytes(&b64), 3, 0);
		buf_add_str(out, "\r\n");
		rc = buf_ok(out) ? RC_OK : err_set(e, RC_LIMIT, "dkim: header block too large");
	}
	buf_done(&field);
	buf_done(&all);
	buf_done(&b64);
	return rc;
}

enum rc
dkim_sign(const struct dkim_message *m, const struct dkim_key *const *keys, size_t n, struct buf *out, struct err *e)
{
	struct chosen *c = calloc(1, sizeof(*c));
	struct buf canon, bh;
	if (c == NULL)
		abort();
	buf_init(&canon, 0);
	buf_init(&bh, 0);
	buf_init(&c->names, 0);
	enum rc rc = choose_all(m, c, e);
	for (size_t i = 0; rc == RC_OK && i < c->n; i++)
		dkim_canon_field(m->fields[c->field[i]], &canon);
	if (rc == RC_OK && !buf_ok(&canon))
		rc = err_set(e, RC_LIMIT, "dkim: header too large");
	if (rc == RC_OK)
		rc = body_hash(m, &bh, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = sign_one(m, keys[i], c, buf_bytes(&bh), buf_bytes(&canon), out, e);
	buf_done(&c->names);
	buf_done(&canon);
	buf_done(&bh);
	free(c);
	return rc;
}
