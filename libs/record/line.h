/* SPDX-License-Identifier: MIT
 *
 * The lines of an export (docs/audit.md): JSON, one object per line, whose members stand in this order and without
 * spaces:
 *
 *   {"format":"sekisho-audit-1","tenant":"<uuid>","size":N,"key":"<verifier
 * key>","checkpoint":"<note>","filter":null|{...}}
 *                     and for an export that begins with a later entry: ,"first":F,"before":["<base64>",...]
 *   {"index":N,"leaf":"<hex>","salt":"<hex>","proof":["<base64>",...],"record":{...}}      proof only in a filtered
 * export
 *   {"index":N,"leaf":"<hex>","erased":true,"proof":[...]}                                its key was destroyed
 *   {"head":"<note>"}                                a signed head of just the entries above it
 *
 * "before" are the roots of the perfect subtrees of the F entries before it, from the largest: the tree goes on from
 * them.
 *
 * A reader needs no JSON parser to check a line: the record is the octets from after "record": to before the last
 * brace. Pure.
 */
#ifndef RECORD_LINE_H
#define RECORD_LINE_H

#include "record/entry.h"
#include "record/note.h"

#define LINE_FORMAT	"sekisho-audit-1"
#define LINE_OCTETS_MAX (1024u * 1024)

enum line_kind { LINE_ENTRY, LINE_ERASED, LINE_HEAD };
struct line {
	enum line_kind kind;
	uint64_t index;
	struct merkle_hash leaf;	/* as the line says it */
	uint8_t salt[RECORD_SALT_SIZE]; /* ENTRY */
	struct bytes record;		/* ENTRY; part of the line */
	bool has_proof;
	size_t n_proof;
	struct merkle_hash proof[MERKLE_PROOF_MAX];
	size_t n_note; /* HEAD */
	char note[NOTE_MAX];
};
struct line_header {
	struct uuid tenant;
	uint64_t size;
	bool filtered;
	struct note_key key;
	struct merkle_frontier before; /* size 0: from the first entry on */
	size_t n_checkpoint;
	char checkpoint[NOTE_MAX];
};

/* filter: a JSON object, or empty. before: what precedes the first entry; NULL: nothing. Each writes its newline. */
void line_write_header(struct buf *out, const struct uuid *tenant, uint64_t size, struct bytes key,
		       struct bytes checkpoint, struct bytes filter, const struct merkle_frontier *before);
/* proof NULL: none; salt NULL: the entry is erased. */
void line_write_entry(struct buf *out, uint64_t index, const struct merkle_hash *leaf, const uint8_t *salt,
		      const struct merkle_hash *proof, size_t n_proof, struct bytes record);
void line_write_head(struct buf *out, struct bytes checkpoint);

/* A line without its newline. RC_INVALID: not such a line. */
enum rc line_parse_header(struct bytes text, struct line_header *out_r, struct err *e) MUST_CHECK;
enum rc line_parse(struct bytes text, struct line *out_r, struct err *e) MUST_CHECK;

#endif
