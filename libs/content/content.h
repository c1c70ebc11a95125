/* SPDX-License-Identifier: MIT
 *
 * Bodies, facts and decision records: compressed (zstd), sealed in chunks of at most 256 KiB of plain octets under a
 * key derived from the tenant's data key (HKDF over message id and kind), with tenant, id, kind, chunk number and last
 * flag as associated data: a chunk cannot be moved, dropped or repeated unseen. Kept in schema content of the
 * caller's transaction, so content and effect commit together.
 */
#ifndef CONTENT_CONTENT_H
#define CONTENT_CONTENT_H

#include "core/arena.h"
#include "crypt/keyring.h"
#include "db/db.h"

enum content_kind {
	CONTENT_BODY = 1,
	CONTENT_FACTS = 2,
	CONTENT_DECISION = 3,
	CONTENT_DSN = 4,
	CONTENT_SANDBOX = 5, /* what a sandbox's sink took; the one kind that can be dropped */
};

struct content; /* keyring plus cache of unwrapped tenant keys; thread-safe */

enum rc content_open(const char *kek_path, struct db_pool *pool, struct content **out_r, struct err *e) MUST_CHECK;
void content_free(struct content **c);

struct content_item {
	enum content_kind kind;
	struct bytes data;
};
/* Queue the items of one message into tx (its tenant is the content's): one statement; small items of one call share
 * a row, so a message has one call with more than one item (RC_CONFLICT at the commit of a second). A tenant without a
 * data key gets one, in a transaction of its own: threads that would all hold a connection of a small pool by then call
 * content_seal() before they begin. */
enum rc content_put(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
		    const struct content_item *items, size_t n, struct err *e) MUST_CHECK;
/* Sealing is CPU work: content_seal() does it before the transaction begins, content_put_sealed() queues the rows. */
struct content_sealed;
enum rc content_seal(struct content *c, const struct uuid *tenant, const struct uuid *id,
		     const struct content_item *items, size_t n, struct content_sealed **out_r,
		     struct err *e) MUST_CHECK;
enum rc content_put_sealed(struct db_tx *tx, const struct content_sealed *s, struct err *e) MUST_CHECK;
void content_sealed_free(struct content_sealed **s);

/* Read items of one message in one query; data[i] stays p NULL where there is none. max bounds each item. RC_INVALID
 * if a seal does not fit, a chunk is missing or comes twice. */
enum rc content_get(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
		    const enum content_kind *kinds, struct bytes *data, size_t n, size_t max, struct arena *a,
		    struct err *e) MUST_CHECK;
/* The same in one round trip with COMMIT: for a transaction that has nothing else to do. Ends it in every case. */
enum rc content_get_commit(struct content *c, struct db_tx **tx, const struct uuid *tenant, const struct uuid *id,
			   const enum content_kind *kinds, struct bytes *data, size_t n, size_t max, struct arena *a,
			   struct err *e) MUST_CHECK;

/* The first octets of one item, as many as the first chunk has (256 KiB, or all of it); p NULL: there is none. */
enum rc content_get_first(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *id,
			  enum content_kind kind, struct bytes *data_r, struct arena *a, struct err *e) MUST_CHECK;

/* The same item of n messages in one query. data[i] stays p NULL where there is none, or none that opens: those are
 * counted in *bad_r (may be NULL), for they are no reason to do without the others. */
enum rc content_get_many(struct content *c, struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids,
			 size_t n, enum content_kind kind, size_t max, struct bytes *data, size_t *bad_r,
			 struct arena *a, struct err *e) MUST_CHECK;

/* Several items of messages that are known to be small, in one round trip with COMMIT, which ends the transaction in
 * every case: data[i * n + k] is kinds[k] of ids[i]. RC_OK: committed; what is missing or does not open stays p NULL.
 */
enum rc content_get_many_commit(struct content *c, struct db_tx **tx, const struct uuid *tenant, const struct uuid *ids,
				size_t n_ids, const enum content_kind *kinds, size_t n, size_t max, struct bytes *data,
				struct arena *a, struct err *e) MUST_CHECK;

/* CONTENT_SANDBOX of these ids goes; row-level security lets no other kind go. */
enum rc content_drop(struct db_tx *tx, const struct uuid *tenant, const struct uuid *ids, size_t n,
		     struct err *e) MUST_CHECK;

/* A key for one purpose, from the tenant's data key of that epoch; 0: the newest, and *epoch says which that is. The
 * purpose is a name of ours that no other use has. */
enum rc content_derive_key(struct content *c, const struct uuid *tenant, int32_t *epoch, const char *purpose,
			   uint8_t key[CRYPT_KEY_SIZE], struct err *e) MUST_CHECK;

/* A small secret of the tenant's (smarthost password, DKIM key) sealed under its data key; label is associated data. */
enum rc content_seal_secret(struct content *c, const struct uuid *tenant, const char *label, struct bytes plain,
			    struct buf *sealed, struct err *e) MUST_CHECK;
enum rc content_open_secret(struct content *c, const struct uuid *tenant, const char *label, struct bytes sealed,
			    struct buf *plain, struct err *e) MUST_CHECK;

#endif
