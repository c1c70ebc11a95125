/* SPDX-License-Identifier: MIT
 *
 * What is found is kept by rank: an entry that does not fit its own leaf, or stands in the wrong place, says more than
 * a root that does not fit.
 */
#include "record/verify.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct earlier {
	struct note_head head;
	size_t n;
	char note[NOTE_MAX];
	bool fits, beyond; /* beyond: of entries before the export's first */
};

struct verifier {
	bool key_given, begun, stop;
	struct note_key key;
	struct line_header header;
	struct note_head head; /* of the export */
	struct earlier *heads;
	size_t n_heads, next_head;
	struct merkle_frontier tree;
	uint64_t last;	    /* index of the line before, filtered */
	uint64_t good_size; /* the largest size at which a head fitted */
	/* The first line that is out of its place: where `at` was due came `got`. */
	bool out_of_place, at_came_later;
	uint64_t at, got;
	bool checkpoint_is_earlier; /* an earlier head says the same as the export's own */
	struct verify_result result;
	struct line line;
};

static const char *const kinds[] = {"good",	  "edit",    "deletion", "insertion", "reordering",
				    "truncation", "rewrite", "fork",	 "unclear"};

const char *
verify_kind_str(enum verify_kind k)
{
	return kinds[k];
}

struct verifier *
verifier_new(const struct note_key *key)
{
	struct verifier *v = calloc(1, sizeof(*v));
	if (v == NULL)
		abort();
	v->key_given = key != NULL;
	if (key != NULL)
		v->key = *key;
	return v;
}

void
verifier_free(struct verifier **v)
{
	if (*v == NULL)
		return;
	free((*v)->heads);
	free(*v);
	*v = NULL;
}

/* The first finding stays. */
static bool PRINTF_LIKE(4, 5) found(struct verifier *v, enum verify_kind kind, uint64_t first, const char *fmt, ...)
{
	if (v->result.kind == VERIFY_GOOD) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(v->result.text, sizeof(v->result.text), fmt, ap);
		va_end(ap);
		v->result.kind = kind;
		v->result.first = first;
	}
	v->stop = true;
	return false;
}
#define N(x) ((unsigned long long)(x))

enum rc
verifier_head(struct verifier *v, struct bytes note, struct err *e)
{
	struct note_head h;
	if (v->n_heads == VERIFY_HEADS_MAX)
		return err_set(e, RC_LIMIT, "more than %d earlier heads", VERIFY_HEADS_MAX);
	enum rc rc = note_parse(note, &h, e);
	if (rc != RC_OK)
		return rc;
	v->heads = realloc(v->heads, (v->n_heads + 1) * sizeof(*v->heads));
	if (v->heads == NULL)
		abort();
	size_t at = v->n_heads++;
	for (; at > 0 && v->heads[at - 1].head.size > h.size; at--)
		v->heads[at] = v->heads[at - 1];
	v->heads[at] = (struct earlier){.head = h, .n = note.n};
	memcpy(v->heads[at].note, note.p, note.n);
	return RC_OK;
}

/* --- the first line -------------------------------------------------------------------------------------------- */
static bool
check_earlier(struct verifier *v, const struct earlier *h)
{
	enum note_trust trust;
	if (strcmp(h->head.origin, v->key.name) != 0)
		return found(v, VERIFY_UNCLEAR, 0, "an earlier head is of another log: %s", h->head.origin);
	if (note_check(bytes_of(h->note, h->n), &v->key, &trust, NULL) != RC_OK || trust == NOTE_FORGED)
		return found(v, VERIFY_UNCLEAR, 0, "the signature of the earlier head of size %llu is not good",
			     N(h->head.size));
	if (trust == NOTE_OTHER_KEY && v->key_given)
		return found(v, VERIFY_UNCLEAR, 0, "the earlier head of size %llu is not signed by the key given",
			     N(h->head.size));
	if (trust == NOTE_OTHER_KEY)
		return found(v, VERIFY_REWRITE, 0,
			     "the export names another key than the one that signed the earlier "
			     "head of size %llu",
			     N(h->head.size));
	return true;
}

static bool
same_key(const struct note_key *a, const struct note_key *b)
{
	return strcmp(a->name, b->name) == 0 && memcmp(a->public, b->public, sizeof(a->public)) == 0;
}

static bool
check_checkpoint(struct verifier *v)
{
	const struct line_header *h = &v->header;
	struct bytes note = bytes_of(h->checkpoint, h->n_checkpoint);
	enum note_trust trust;
	if (v->key_given && !same_key(&v->key, &h->key) && strcmp(v->key.name, h->key.name) != 0)
		return found(v, VERIFY_UNCLEAR, 0, "the export is of another log (%s) than the key given (%s)",
			     h->key.name, v->key.name);
	if (note_parse(note, &v->head, NULL) != RC_OK || note_check(note, &v->key, &trust, NULL) != RC_OK)
		return found(v, VERIFY_REWRITE, 0, "the head of the export is no signed checkpoint");
	if (trust == NOTE_OTHER_KEY)
		return found(v, VERIFY_REWRITE, 0, "the head of the export is signed by another key than %s",
			     v->key_given ? "the one given" : "the export names");
	if (trust == NOTE_FORGED)
		return found(v, VERIFY_REWRITE, 0,
			     "the signature of the export's head is not good: it was changed or "
			     "made without the key");
	if (strcmp(v->head.origin, v->key.name) != 0)
		return found(v, VERIFY_REWRITE, 0, "the head of the export is of another log: %s", v->head.origin);
	if (v->head.size != h->size)
		return found(v, VERIFY_EDIT, 0, "the first line says %llu entries, its signed head %llu", N(h->size),
			     N(v->head.size));
	return true;
}

/* Compare earlier heads of the size the tree has now. */
static void
meet_heads(struct verifier *v)
{
	struct merkle_hash root;
	bool made = false;
	for (; v->next_head < v->n_heads && v->heads[v->next_head].head.size <= v->tree.size; v->next_head++) {
		struct earlier *h = &v->heads[v->next_head];
		if (h->head.size != v->tree.size)
			continue;
		if (!made)
			merkle_frontier_root(&v->tree, &root);
		made = true;
		h->fits = merkle_eq(&root, &h->head.root);
		if (h->fits) {
			v->result.heads_earlier++;
			v->result.known = v->good_size = h->head.size;
		}
	}
}

static bool
begin(struct verifier *v, struct bytes text)
{
	struct err e;
	v->begun = true;
	if (line_parse_header(text, &v->header, &e) != RC_OK)
		return found(v, VERIFY_UNCLEAR, 0, "%s", e.text);
	if (!v->key_given)
		v->key = v->header.key;
	v->result.filtered = v->header.filtered;
	for (size_t i = 0; i < v->n_heads; i++)
		if (!check_earlier(v, &v->heads[i]))
			return false;
	if (!check_checkpoint(v))
		return false;
	v->result.size = v->head.size;
	memcpy(v->result.origin, v->head.origin, sizeof(v->result.origin));
	if (v->n_heads > 0 && v->heads[v->n_heads - 1].head.size > v->head.size)
		return found(v, VERIFY_TRUNCATION, v->head.size,
			     "the export ends with entry %lld, but an earlier head has %llu entries",
			     (long long)v->head.size - 1, N(v->heads[v->n_heads - 1].head.size));
	if (v->header.before.size > v->head.size)
		return found(v, VERIFY_EDIT, v->head.size, "the export begins behind its own end");
	if (v->header.filtered)
		return true;
	v->tree = v->header.before;
	v->good_size = v->tree.size;
	while (v->next_head < v->n_heads && v->heads[v->next_head].head.size < v->tree.size)
		v->heads[v->next_head++].beyond = true;
	meet_heads(v);
	return true;
}

/* --- entries --------------------------------------------------------------------------------------------------- */
/* A filtered export: each entry proves itself. */
static bool
filtered_entry(struct verifier *v, const struct line *l)
{
	if (!l->has_proof)
		return found(v, VERIFY_EDIT, l->index, "entry %llu has no proof", N(l->index));
	if (!merkle_check_inclusion(&l->leaf, l->index, v->head.size, l->proof, l->n_proof, &v->head.root))
		return found(v, VERIFY_EDIT, l->index,
			     "entry %llu is not in the signed tree: it was edited, inserted or moved", N(l->index));
	if (v->result.entries > 0 && l->index == v->last)
		return found(v, VERIFY_INSERTION, l->index, "entry %llu comes twice", N(l->index));
	if (v->result.entries > 0 && l->index < v->last)
		return found(v, VERIFY_REORDERING, l->index, "entry %llu comes after entry %llu", N(l->index),
			     N(v->last));
	v->last = l->index;
	return true;
}

static bool
entry(struct verifier *v, struct line *l)
{
	if (v->out_of_place) {
		/* Only looking for the one that was due. */
		v->at_came_later = l->index == v->at;
		return !v->at_came_later;
	}
	if (l->kind == LINE_ENTRY) {
		struct merkle_hash leaf;
		record_leaf(l->salt, l->record, &leaf);
		if (!merkle_eq(&leaf, &l->leaf))
			return found(v, VERIFY_EDIT, l->index, "entry %llu is not the one its leaf was made of",
				     N(l->index));
	}
	if (v->header.filtered) {
		if (!filtered_entry(v, l))
			return false;
	} else if (l->index != v->tree.size) {
		v->out_of_place = true;
		v->at = v->tree.size;
		v->got = l->index;
		return l->index > v->at; /* an entry that came before: nothing more to look for */
	} else {
		if (v->tree.size == v->head.size)
			return found(
			    v, VERIFY_INSERTION, v->good_size,
			    "more than the %llu entries that were signed; entries were inserted after entry %lld",
			    N(v->head.size), (long long)v->good_size - 1);
		merkle_frontier_add(&v->tree, &l->leaf);
		meet_heads(v);
	}
	v->result.entries++;
	v->result.erased += l->kind == LINE_ERASED;
	return true;
}

/* A signed head between the lines: of just the entries above it. */
static bool
inner_head(struct verifier *v, const struct line *l)
{
	struct note_head h;
	struct merkle_hash root;
	enum note_trust trust;
	uint64_t size = v->tree.size;
	if (v->out_of_place || v->header.filtered)
		return true;
	if (note_parse(bytes_of(l->note, l->n_note), &h, NULL) != RC_OK ||
	    note_check(bytes_of(l->note, l->n_note), &v->key, &trust, NULL) != RC_OK || trust != NOTE_GOOD ||
	    strcmp(h.origin, v->key.name) != 0)
		return found(v, VERIFY_EDIT, size, "a head after entry %lld is not signed by the log's key",
			     (long long)size - 1);
	if (h.size > size)
		return found(v, VERIFY_DELETION, v->good_size,
			     "of the entries %llu to %llu, which were signed together, %llu are missing",
			     N(v->good_size), N(h.size - 1), N(h.size - size));
	if (h.size < size)
		return found(v, VERIFY_INSERTION, v->good_size, "among the entries from %llu on are %llu too many",
			     N(v->good_size), N(size - h.size));
	merkle_frontier_root(&v->tree, &root);
	if (!merkle_eq(&root, &h.root))
		return found(
		    v, VERIFY_EDIT, v->good_size,
		    "the entries %llu to %llu are not the ones that were signed: edited, exchanged or replaced",
		    N(v->good_size), N(size - 1));
	v->good_size = size;
	v->result.heads_inside++;
	return true;
}

bool
verifier_line(struct verifier *v, struct bytes text)
{
	struct err e;
	if (v->stop)
		return false;
	if (!v->begun)
		return begin(v, text);
	if (line_parse(text, &v->line, &e) != RC_OK) {
		if (v->out_of_place)
			return true;
		return found(v, VERIFY_EDIT, v->header.filtered ? v->last : v->tree.size,
			     "the line after entry %lld: %s",
			     v->result.entries == 0 ? -1LL
			     : v->header.filtered   ? (long long)v->last
						    : (long long)v->tree.size - 1,
			     e.text);
	}
	bool go_on = v->line.kind == LINE_HEAD ? inner_head(v, &v->line) : entry(v, &v->line);
	if (!go_on)
		v->stop = true;
	return go_on;
}

/* --- the end --------------------------------------------------------------------------------------------------- */
static void
end_out_of_place(struct verifier *v)
{
	if (v->got < v->at)
		found(v, VERIFY_INSERTION, v->got, "entry %llu comes again where entry %llu was due", N(v->got),
		      N(v->at));
	else if (v->at_came_later)
		found(v, VERIFY_REORDERING, v->at, "entry %llu stands in the place of entry %llu, which comes later",
		      N(v->got), N(v->at));
	else if (v->got >= v->head.size)
		found(v, VERIFY_INSERTION, v->at, "entry %llu does not exist: the signed head has %llu", N(v->got),
		      N(v->head.size));
	else if (v->got - v->at == 1)
		found(v, VERIFY_DELETION, v->at, "entry %llu is missing", N(v->at));
	else
		found(v, VERIFY_DELETION, v->at, "the entries %llu to %llu are missing", N(v->at), N(v->got - 1));
}

static void
end_filtered(struct verifier *v)
{
	bool known = v->n_heads == 0;
	for (size_t i = 0; i < v->n_heads; i++) {
		struct earlier *h = &v->heads[i];
		if (h->head.size != v->head.size)
			continue;
		if (!merkle_eq(&h->head.root, &v->head.root)) {
			found(v, VERIFY_FORK, 0,
			      "the export's head and an earlier head of the same size %llu differ: "
			      "the log has two histories",
			      N(v->head.size));
			return;
		}
		known = true;
		v->result.heads_earlier++;
		v->result.known = h->head.size;
	}
	if (!known)
		found(v, VERIFY_UNCLEAR, 0,
		      "a filtered export cannot be compared with a head of another size: take a full "
		      "export, or a consistency proof");
}

static void
end_full(struct verifier *v)
{
	struct merkle_hash root;
	uint64_t size = v->tree.size;
	if (size < v->head.size) {
		found(v, VERIFY_TRUNCATION, size, "the entries %llu to %llu are missing at the end", N(size),
		      N(v->head.size - 1));
		return;
	}
	merkle_frontier_root(&v->tree, &root);
	bool own = merkle_eq(&root, &v->head.root);
	uint64_t before = 0;
	bool any = false, met = false;
	for (size_t i = 0; i < v->n_heads; i++) {
		const struct earlier *h = &v->heads[i];
		if (h->beyond)
			continue;
		met = true;
		if (h->fits) {
			any = h->head.size > 0 || any;
			before = h->head.size;
		} else if (!own) {
			found(v, VERIFY_EDIT, before,
			      "the entries %llu to %llu are not the ones of an earlier head, nor do all "
			      "fit the export's own",
			      N(before), N(h->head.size - 1));
			return;
		} else if (any) {
			found(v, VERIFY_FORK, before,
			      "up to entry %llu the log is the one of the earlier heads; then it has "
			      "another history than the head of size %llu, and both are signed",
			      N(before - 1), N(h->head.size));
			return;
		} else {
			found(v, VERIFY_REWRITE, 0,
			      "the %llu entries of an earlier head are not in this log any more as they "
			      "were: it was written anew, and signed",
			      N(h->head.size));
			return;
		}
	}
	if (!own)
		found(v, VERIFY_EDIT, v->good_size,
		      "the entries from %llu on are not the ones that were signed: edited, "
		      "exchanged or replaced",
		      N(v->good_size));
	else if (v->n_heads > 0 && !met)
		found(v, VERIFY_UNCLEAR, 0,
		      "the export begins with entry %llu, behind every earlier head: take a longer one, or a "
		      "consistency proof",
		      N(v->header.before.size));
}

void
verifier_end(struct verifier *v, bool complete, struct verify_result *out_r)
{
	struct verify_result *r = &v->result;
	if (!v->begun)
		found(v, VERIFY_UNCLEAR, 0, "the export is empty");
	if (r->kind == VERIFY_GOOD && v->out_of_place)
		end_out_of_place(v);
	if (r->kind == VERIFY_GOOD && v->header.filtered)
		end_filtered(v);
	else if (r->kind == VERIFY_GOOD)
		end_full(v);
	if (r->kind == VERIFY_GOOD && !complete)
		found(v, VERIFY_TRUNCATION, v->tree.size, "the last line has no end");
	r->key_given = v->key_given;
	*out_r = *r;
}
