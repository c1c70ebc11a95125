/* SPDX-License-Identifier: MIT
 *
 * The copy of the directory: document, hash, lookup. Pure.
 */
#include "directory.h"

#include <stdlib.h>

#include "crypt/crypt.h"

static int
by_name(const void *x, const void *y)
{
	return strcmp(((const struct directory_domain *)x)->name, ((const struct directory_domain *)y)->name);
}

void
directory_document(struct directory_domain *v, size_t n, struct arena *a, struct buf *out)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		struct directory_domain d = v[i];
		d.name = address_domain(a, d.name);
		if (d.name != NULL)
			v[kept++] = d;
	}
	if (kept > 1)
		qsort(v, kept, sizeof(*v), by_name);
	buf_add_str(out, "{\"domains\":[");
	const char *comma = "";
	for (size_t i = 0; i < kept; i++) {
		if (i > 0 && strcmp(v[i].name, v[i - 1].name) == 0)
			continue;
		buf_addf(out, "%s{\"class\":\"%s\",\"name\":\"%s\",\"proven\":%s}", comma,
			 ruleset_class_str(v[i].class), v[i].name, v[i].proven ? "true" : "false");
		comma = ",";
	}
	buf_add_str(out, "]}");
}

static enum rc
parse_domain(const json_t *v, struct arena *a, struct directory_domain *out, struct err *e)
{
	const char *name = json_string_value(json_object_get(v, "name"));
	const char *class = json_string_value(json_object_get(v, "class"));
	if (name == NULL || class == NULL)
		return err_set(e, RC_INVALID, "a domain of the directory has no name or no class");
	*out = (struct directory_domain){.name = address_domain(a, name),
					 .class = CLASS_EXTERNAL,
					 .proven = json_is_true(json_object_get(v, "proven"))};
	if (out->name == NULL)
		return err_set(e, RC_INVALID, "a domain of the directory is no domain name");
	for (int c = CLASS_EXTERNAL; c <= CLASS_AFFILIATE; c++)
		if (strcmp(class, ruleset_class_str((enum ruleset_class)c)) == 0)
			out->class = (enum ruleset_class)c;
	return RC_OK;
}

enum rc
directory_parse(struct bytes json, uint64_t version, struct directory **out_r, struct err *e)
{
	json_t *doc = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *list = json_object_get(doc, "domains");
	if (!json_is_array(list)) {
		json_decref(doc);
		return err_set(e, RC_INVALID, "the directory's document does not parse");
	}
	struct directory *d = calloc(1, sizeof(*d));
	if (d == NULL)
		abort();
	d->references = 1;
	d->arena = arena_new();
	d->version = version;
	crypt_sha256(json, d->sha256);
	d->n_domains = json_array_size(list);
	d->domains = arena_new_array(d->arena, struct directory_domain, d->n_domains + 1);
	enum rc rc = RC_OK;
	for (size_t i = 0; i < d->n_domains && rc == RC_OK; i++)
		rc = parse_domain(json_array_get(list, i), d->arena, &d->domains[i], e);
	json_decref(doc);
	if (rc != RC_OK) {
		directory_release(&d);
		return rc;
	}
	if (d->n_domains > 1)
		qsort(d->domains, d->n_domains, sizeof(*d->domains), by_name);
	*out_r = d;
	return RC_OK;
}

struct directory *
directory_keep(struct directory *d)
{
	d->references++;
	return d;
}

void
directory_release(struct directory **dp)
{
	if (dp == NULL || *dp == NULL)
		return;
	struct directory *d = *dp;
	*dp = NULL;
	if (--d->references != 0)
		return;
	arena_free(&d->arena);
	free(d);
}

enum ruleset_class
directory_class(const struct directory *d, const char *domain)
{
	for (const char *p = domain; p != NULL && *p != 0;) {
		struct directory_domain key = {.name = p};
		const struct directory_domain *hit =
		    d->n_domains != 0 ? bsearch(&key, d->domains, d->n_domains, sizeof(*d->domains), by_name) : NULL;
		if (hit != NULL)
			return hit->class == CLASS_INTERNAL && !hit->proven ? CLASS_EXTERNAL : hit->class;
		p = strchr(p, '.');
		if (p != NULL)
			p++;
	}
	return CLASS_EXTERNAL;
}
