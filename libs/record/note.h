/* SPDX-License-Identifier: MIT
 *
 * Signed heads: the checkpoint of C2SP tlog-checkpoint as a C2SP signed-note with Ed25519.
 *
 *   <origin>\n<size>\n<base64 root>\n\n— <key name> <base64 of 4 octets key id, 64 octets signature>\n
 *
 * The key's name is the origin, "<host>/audit/<tenant>"; its id is SHA-256(name || 0x0A || 0x01 || public key)[0..3];
 * people pass the key on as text, "name+<id in hex>+<base64 of 0x01 || public key>". Pure but for reading the key file;
 * any thread.
 */
#ifndef RECORD_NOTE_H
#define RECORD_NOTE_H

#include "record/merkle.h"

#define NOTE_NAME_MAX 255
#define NOTE_MAX      4096 /* octets of a note */
#define NOTE_KEY_MAX  (NOTE_NAME_MAX + 64)

struct note_head {
	char origin[NOTE_NAME_MAX + 1];
	uint64_t size;
	struct merkle_hash root;
};
struct note_key {
	char name[NOTE_NAME_MAX + 1];
	uint8_t id[4], public[32];
};

/* --- signing --------------------------------------------------------------------------------------------------- */
struct note_signer;
/* PEM file with an Ed25519 private key. */
enum rc note_signer_open(const char *path, struct note_signer **out_r, struct err *e) MUST_CHECK;
void note_signer_free(struct note_signer **s);
/* The same key signs under any name (one per tenant). RC_INVALID for a name that cannot stand in a note. */
enum rc note_signer_key(const struct note_signer *s, const char *name, struct note_key *out_r,
			struct err *e) MUST_CHECK;
/* Append the signed checkpoint. */
enum rc note_sign(const struct note_signer *s, const struct note_head *h, struct buf *out, struct err *e) MUST_CHECK;

/* --- checking -------------------------------------------------------------------------------------------------- */
/* Text of a verifier key and back; RC_INVALID unless the id fits name and key. */
void note_key_format(const struct note_key *k, struct buf *out);
enum rc note_key_parse(struct bytes text, struct note_key *out_r, struct err *e) MUST_CHECK;

/* Whether the note carries the key's good signature. */
enum note_trust {
	NOTE_GOOD,
	NOTE_OTHER_KEY, /* no signature of this key */
	NOTE_FORGED,	/* one that says it is this key's, and is not */
};
/* Only form: who signed is asked of note_check(). Lines after the third are kept out of note_head. */
enum rc note_parse(struct bytes note, struct note_head *out_r, struct err *e) MUST_CHECK;
enum rc note_check(struct bytes note, const struct note_key *k, enum note_trust *trust_r, struct err *e) MUST_CHECK;

#endif
