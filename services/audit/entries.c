/* SPDX-License-Identifier: MIT
 *
 * Sealing and opening of entries. What is sealed is salt and record; tenant and index are bound to it, so that a sealed
 * entry does not open in another's place.
 */
#include <stdio.h>

#include "audit.h"
#include "record/entry.h"
#include "store.h"

#define LABEL_SIZE 32

static void
label_of(uint64_t index, char out[LABEL_SIZE])
{
	snprintf(out, LABEL_SIZE, "audit/%llu", (unsigned long long)index);
}

enum rc
entry_seal(const struct uuid *tenant, uint64_t index, const struct record_entry *r, struct arena *a,
	   struct store_entry *out, struct err *e)
{
	struct buf plain, sealed;
	char label[LABEL_SIZE];
	uint8_t salt[RECORD_SALT_SIZE];
	buf_init(&plain, 0);
	buf_init(&sealed, 0);
	random_bytes(salt, sizeof(salt));
	buf_add(&plain, salt, sizeof(salt));
	record_entry_write(r, &plain);
	label_of(index, label);
	enum rc rc = content_seal_secret(audit.svc->content, tenant, label, buf_bytes(&plain), &sealed, e);
	if (rc == RC_OK) {
		*out = (struct store_entry){.index = index,
					    .intent = r->id,
					    .subject = r->subject,
					    .at_us = r->at_us,
					    .action = r->action,
					    .outcome = r->outcome,
					    .actor = r->actor,
					    .source = r->source};
		record_leaf(salt, bytes_of(plain.p + sizeof(salt), plain.n - sizeof(salt)), &out->leaf);
		out->sealed = arena_bytes(a, buf_bytes(&sealed));
	}
	buf_done(&plain);
	buf_done(&sealed);
	return rc;
}

enum rc
entry_open(const struct uuid *tenant, const struct store_entry *v, struct arena *a, struct opened *out_r, struct err *e)
{
	struct buf plain;
	char label[LABEL_SIZE];
	struct merkle_hash leaf;
	struct opened o = {.erased = v->sealed.p == NULL};
	if (o.erased) {
		*out_r = o;
		return RC_OK;
	}
	buf_init(&plain, 0);
	label_of(v->index, label);
	enum rc rc = content_open_secret(audit.svc->content, tenant, label, v->sealed, &plain, e);
	if (rc == RC_OK && plain.n < RECORD_SALT_SIZE)
		rc = err_set(e, RC_INVALID, "no salt");
	if (rc == RC_OK) {
		memcpy(o.salt, plain.p, sizeof(o.salt));
		o.record = arena_bytes(a, bytes_of(plain.p + RECORD_SALT_SIZE, plain.n - RECORD_SALT_SIZE));
		record_leaf(o.salt, o.record, &leaf);
		if (!merkle_eq(&leaf, &v->leaf))
			rc = err_set(e, RC_INVALID, "not what the leaf was made of");
	}
	buf_done(&plain);
	if (rc == RC_INVALID) {
		metric_add(&audit_metric_failures, FAILED_ENTRY, 1);
		return err_set(e, RC_INTERNAL, "entry %llu cannot be shown: its content was changed or its key is gone",
			       (unsigned long long)v->index);
	}
	if (rc == RC_OK)
		*out_r = o;
	return rc;
}
