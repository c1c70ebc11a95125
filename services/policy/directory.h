/* SPDX-License-Identifier: MIT
 *
 * policy's copy of a tenant's directory: which domains are whose. Kept as a canonical JSON document, so that two copies
 * of the same content have the same hash and a decision can be derived again; compiled, read-only, shared by threads.
 */
#ifndef POLICY_DIRECTORY_H
#define POLICY_DIRECTORY_H

#include "core/arena.h"
#include "core/bytes.h"
#include "ruleset.h"

struct directory_domain {
	const char *name; /* normal form (address_domain()) */
	enum ruleset_class class;
	bool proven;
};

struct directory {
	struct arena *arena;
	_Atomic int references;
	uint64_t version;
	uint8_t sha256[32];		  /* of the document */
	struct directory_domain *domains; /* sorted by name */
	size_t n_domains;
};

/* The canonical document of these domains; sorts v. Names that are no domains are left out. */
void directory_document(struct directory_domain *v, size_t n, struct arena *a, struct buf *out);
enum rc directory_parse(struct bytes json, uint64_t version, struct directory **out_r, struct err *e) MUST_CHECK;
struct directory *directory_keep(struct directory *d);
void directory_release(struct directory **d);

/* By the longest listed domain that is domain or a parent of it; unlisted, or internal but not proven: external. */
enum ruleset_class directory_class(const struct directory *d, const char *domain);

#endif
