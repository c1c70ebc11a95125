/* SPDX-License-Identifier: MIT */
#include "record/note.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base64.h"

#define ALGORITHM      0x01 /* Ed25519 */
#define SIGNATURE_SIZE 64
#define SIGNATURES_MAX 16
static const char dash[] = "\xe2\x80\x94 "; /* em dash and space */
#define DASH_SIZE 4

struct note_signer {
	EVP_PKEY *key;
	uint8_t public[32];
};

/* Printable without spaces, plus signs or line ends. */
static bool
name_fits(struct bytes name)
{
	if (name.n == 0 || name.n > NOTE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == '+')
			return false;
	return true;
}

static void
key_id(const char *name, const uint8_t public[32], uint8_t id[4])
{
	uint8_t in[NOTE_NAME_MAX + 2 + 32];
	size_t n = strlen(name);
	struct merkle_hash h;
	memcpy(in, name, n);
	in[n] = '\n';
	in[n + 1] = ALGORITHM;
	memcpy(in + n + 2, public, 32);
	merkle_sha256(bytes_of(in, n + 2 + 32), &h);
	memcpy(id, h.b, 4);
}

/* --- signing --------------------------------------------------------------------------------------------------- */
enum rc
note_signer_open(const char *path, struct note_signer **out_r, struct err *e)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return err_set(e, RC_INVALID, "%s cannot be read", path);
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	struct note_signer *s = calloc(1, sizeof(*s));
	size_t n = sizeof(s->public);
	if (s == NULL)
		abort();
	if (key == NULL || EVP_PKEY_id(key) != EVP_PKEY_ED25519 ||
	    EVP_PKEY_get_raw_public_key(key, s->public, &n) != 1 || n != sizeof(s->public)) {
		EVP_PKEY_free(key);
		free(s);
		return err_set(e, RC_INVALID, "%s holds no Ed25519 private key", path);
	}
	s->key = key;
	*out_r = s;
	return RC_OK;
}

void
note_signer_free(struct note_signer **s)
{
	if (*s == NULL)
		return;
	EVP_PKEY_free((*s)->key);
	free(*s);
	*s = NULL;
}

enum rc
note_signer_key(const struct note_signer *s, const char *name, struct note_key *out_r, struct err *e)
{
	if (!name_fits(bytes_str(name)))
		return err_set(e, RC_INVALID, "not a name for a key: \"%.60s\"", name);
	struct note_key k = {0};
	snprintf(k.name, sizeof(k.name), "%s", name);
	memcpy(k.public, s->public, sizeof(k.public));
	key_id(k.name, k.public, k.id);
	*out_r = k;
	return RC_OK;
}

enum rc
note_sign(const struct note_signer *s, const struct note_head *h, struct buf *out, struct err *e)
{
	struct note_key k;
	enum rc rc = note_signer_key(s, h->origin, &k, e);
	if (rc != RC_OK)
		return rc;
	size_t began = out->n;
	buf_addf(out, "%s\n%llu\n", h->origin, (unsigned long long)h->size);
	base64_add(out, bytes_of(h->root.b, sizeof(h->root.b)));
	buf_add_str(out, "\n");
	uint8_t signature[4 + SIGNATURE_SIZE];
	size_t n = SIGNATURE_SIZE;
	memcpy(signature, k.id, 4);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c != NULL && buf_ok(out) && EVP_DigestSignInit(c, NULL, NULL, NULL, s->key) == 1 &&
		  EVP_DigestSign(c, signature + 4, &n, out->p + began, out->n - began) == 1 && n == SIGNATURE_SIZE;
	EVP_MD_CTX_free(c);
	if (!ok) {
		out->n = began;
		return err_set(e, RC_INTERNAL, "the head could not be signed");
	}
	buf_addf(out, "\n%s%s ", dash, k.name);
	base64_add(out, bytes_of(signature, sizeof(signature)));
	buf_add_str(out, "\n");
	return buf_ok(out) ? RC_OK : err_set(e, RC_LIMIT, "the head is too long");
}

/* --- keys as text ---------------------------------------------------------------------------------------------- */
void
note_key_format(const struct note_key *k, struct buf *out)
{
	uint8_t typed[33] = {ALGORITHM};
	memcpy(typed + 1, k->public, 32);
	buf_addf(out, "%s+", k->name);
	hex_add(out, bytes_of(k->id, 4));
	buf_add_str(out, "+");
	base64_add(out, bytes_of(typed, sizeof(typed)));
}

enum rc
note_key_parse(struct bytes text, struct note_key *out_r, struct err *e)
{
	struct note_key k = {0};
	uint8_t typed[33], id[4];
	ptrdiff_t plus = bytes_find(text, bytes_str("+"));
	if (plus < 0 || !name_fits(bytes_of(text.p, (size_t)plus)))
		return err_set(e, RC_INVALID, "a verifier key reads name+id+key");
	struct bytes rest = bytes_of(text.p + plus + 1, text.n - (size_t)plus - 1);
	if (rest.n < 9 || rest.p[8] != '+' || !hex_take(bytes_of(rest.p, 8), id, 4) ||
	    !base64_take(bytes_of(rest.p + 9, rest.n - 9), typed, sizeof(typed)) || typed[0] != ALGORITHM)
		return err_set(e, RC_INVALID, "a verifier key ends in +<8 hex digits>+<base64 of an Ed25519 key>");
	memcpy(k.name, text.p, (size_t)plus);
	memcpy(k.public, typed + 1, 32);
	key_id(k.name, k.public, k.id);
	if (memcmp(k.id, id, 4) != 0)
		return err_set(e, RC_INVALID, "the id of the verifier key does not fit its name and key");
	*out_r = k;
	return RC_OK;
}

/* --- checking -------------------------------------------------------------------------------------------------- */
/* The next line of *rest without its end; false at the end or if the last line has none. */
static bool
take_line(struct bytes *rest, struct bytes *line_r)
{
	const uint8_t *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	if (end == NULL)
		return false;
	*line_r = bytes_of(rest->p, (size_t)(end - rest->p));
	rest->n -= line_r->n + 1;
	rest->p = end + 1;
	return true;
}

static bool
take_number(struct bytes t, uint64_t *out_r)
{
	uint64_t v = 0;
	if (t.n == 0 || t.n > 19 || (t.n > 1 && t.p[0] == '0'))
		return false;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(t.p[i] - '0');
	}
	*out_r = v;
	return true;
}

/* Text that is signed, and the signature lines. The last empty line parts them. */
static enum rc
parts(struct bytes note, struct bytes *text_r, struct bytes *signatures_r, struct err *e)
{
	if (note.n > NOTE_MAX)
		return err_set(e, RC_LIMIT, "a signed head of more than %d octets", NOTE_MAX);
	for (size_t i = 0; i < note.n; i++)
		if ((note.p[i] < ' ' && note.p[i] != '\n') || note.p[i] == 0x7f)
			return err_set(e, RC_INVALID, "not a signed note: a control character");
	for (size_t i = note.n; i >= 2; i--)
		if (note.p[i - 1] == '\n' && note.p[i - 2] == '\n') {
			*text_r = bytes_of(note.p, i - 1);
			*signatures_r = bytes_of(note.p + i, note.n - i);
			if (signatures_r->n == 0 || note.p[note.n - 1] != '\n')
				break;
			return RC_OK;
		}
	return err_set(e, RC_INVALID, "not a signed note: text, empty line and signatures are wanted");
}

enum rc
note_parse(struct bytes note, struct note_head *out_r, struct err *e)
{
	struct bytes text, signatures, origin, size, root;
	struct note_head h = {0};
	enum rc rc = parts(note, &text, &signatures, e);
	if (rc != RC_OK)
		return rc;
	if (!take_line(&text, &origin) || !take_line(&text, &size) || !take_line(&text, &root) || !name_fits(origin) ||
	    !take_number(size, &h.size) || !base64_take(root, h.root.b, sizeof(h.root.b)))
		return err_set(e, RC_INVALID, "not a checkpoint: origin, size and root are wanted");
	memcpy(h.origin, origin.p, origin.n);
	*out_r = h;
	return RC_OK;
}

static bool
verify(const struct note_key *k, struct bytes text, const uint8_t signature[SIGNATURE_SIZE])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->public, sizeof(k->public));
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = key != NULL && c != NULL && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
		  EVP_DigestVerify(c, signature, SIGNATURE_SIZE, text.p, text.n) == 1;
	EVP_MD_CTX_free(c);
	EVP_PKEY_free(key);
	return ok;
}

enum rc
note_check(struct bytes note, const struct note_key *k, enum note_trust *trust_r, struct err *e)
{
	struct bytes text, rest, line;
	enum rc rc = parts(note, &text, &rest, e);
	if (rc != RC_OK)
		return rc;
	*trust_r = NOTE_OTHER_KEY;
	for (int i = 0; rest.n > 0; i++) {
		uint8_t raw[256];
		size_t n, name = strlen(k->name);
		if (i == SIGNATURES_MAX || !take_line(&rest, &line) || line.n < DASH_SIZE ||
		    memcmp(line.p, dash, DASH_SIZE) != 0)
			return err_set(e, RC_INVALID, "not a signed note: a line among the signatures is none");
		struct bytes s = bytes_of(line.p + DASH_SIZE, line.n - DASH_SIZE);
		ptrdiff_t space = bytes_find(s, bytes_str(" "));
		if (space <= 0 ||
		    !base64_take_some(bytes_of(s.p + space + 1, s.n - (size_t)space - 1), raw, sizeof(raw), &n) ||
		    n < 5)
			return err_set(e, RC_INVALID, "not a signed note: a signature does not decode");
		if ((size_t)space != name || memcmp(s.p, k->name, name) != 0 || memcmp(raw, k->id, 4) != 0)
			continue; /* a witness's, perhaps */
		if (n != 4 + SIGNATURE_SIZE || !verify(k, text, raw + 4)) {
			*trust_r = NOTE_FORGED;
			return RC_OK;
		}
		*trust_r = NOTE_GOOD;
	}
	return RC_OK;
}
