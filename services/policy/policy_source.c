/* SPDX-License-Identifier: MIT
 *
 * Where the cache reads. A directory is stored before it is used, because decisions name it; when auth does not answer
 * the newest stored copy serves, when there is none either nothing can be decided.
 */
#include "client/auth_client.h"
#include "core/clock.h"
#include "core/log.h"
#include "policy.h"
#include "policy_store.h"

#define LOOK_MS 2000 /* one look at the database or at auth, at most */

static int64_t
bounded(int64_t deadline_ms)
{
	int64_t most = clock_mono_ms() + LOOK_MS;
	return deadline_ms < most ? deadline_ms : most;
}

/* --- rules -------------------------------------------------------------------------------------------------- */

static enum rc
compile_stored(const struct store_rules *stored, struct arena *a, struct ruleset **out_r, struct err *e)
{
	struct policy_findings findings;
	enum rc rc = ruleset_parse(stored->document, a, out_r, &findings, e);
	if (rc == RC_INVALID)
		/* It was checked when it was stored: a newer program wrote it, or this one is wrong. */
		return err_set(e, RC_INTERNAL, "rule set version %llu does not compile: %s %s",
			       (unsigned long long)stored->version, findings.n != 0 ? findings.v[0].pointer : "",
			       findings.n != 0 ? findings.v[0].text : "");
	return rc;
}

static enum rc
source_rules(void *ctx, const struct uuid *tenant, const struct ruleset *known, uint64_t known_version,
	     int64_t deadline_ms, struct ruleset **out_r, uint64_t *version_r, struct err *e)
{
	struct arena *a = arena_new();
	struct store_rules stored;
	enum rc rc = store_rules_in_force(policy.svc->db, tenant, known != NULL ? known_version : 0,
					  bounded(deadline_ms), a, &stored, e);
	if (rc == RC_OK && stored.version == 0) {
		if (known == NULL || known_version != 0)
			*out_r = ruleset_keep(policy.standard);
		*version_r = 0;
	} else if (rc == RC_OK && stored.document.p != NULL) {
		rc = compile_stored(&stored, a, out_r, e);
		if (rc == RC_OK)
			*version_r = stored.version;
	}
	arena_free(&a);
	return rc;
}

/* --- directory ---------------------------------------------------------------------------------------------- */

static enum rc
from_auth(const struct uuid *tenant, const struct directory *known, int64_t deadline_ms, struct arena *a,
	  struct directory **out_r, struct err *e)
{
	struct auth_call call = {.bus = policy.svc->bus, .deadline_ms = deadline_ms};
	struct auth_directory answer;
	enum rc rc = auth_directory(&call, tenant, a, &answer, e);
	if (rc != RC_OK)
		return rc;
	struct directory_domain *domains = arena_new_array(a, struct directory_domain, answer.n_domains + 1);
	for (size_t i = 0; i < answer.n_domains; i++)
		domains[i] = (struct directory_domain){
		    .name = answer.domains[i].name,
		    .class = answer.domains[i].class == AUTH_INTERNAL	 ? CLASS_INTERNAL
			     : answer.domains[i].class == AUTH_AFFILIATE ? CLASS_AFFILIATE
									 : CLASS_EXTERNAL,
		    .proven = answer.domains[i].proven,
		};
	struct buf document;
	buf_init(&document, 0);
	directory_document(domains, answer.n_domains, a, &document);
	struct directory *fresh = NULL;
	rc = directory_parse(buf_bytes(&document), answer.version, &fresh, e);
	bool same = rc == RC_OK && known != NULL && known->version == fresh->version &&
		    memcmp(known->sha256, fresh->sha256, sizeof(fresh->sha256)) == 0;
	if (rc == RC_OK && !same)
		rc = store_directory_keep(policy.svc->db, tenant, fresh->version, buf_bytes(&document), fresh->sha256,
					  clock_wall_us(), deadline_ms, e);
	if (rc == RC_OK && !same)
		*out_r = directory_keep(fresh);
	directory_release(&fresh);
	buf_done(&document);
	return rc;
}

static enum rc
source_directory(void *ctx, const struct uuid *tenant, const struct directory *known, int64_t deadline_ms,
		 struct directory **out_r, struct err *e)
{
	struct arena *a = arena_new();
	enum rc rc = from_auth(tenant, known, bounded(deadline_ms), a, out_r, e);
	if (rc_is_transient(rc))
		rc = RC_RETRY;
	uint64_t version;
	struct bytes document;
	struct err inner;
	/* The copy is handed out beside RC_RETRY: usable, and to be asked for again. */
	if (rc == RC_RETRY && known == NULL &&
	    store_directory_newest(policy.svc->db, tenant, bounded(deadline_ms), a, &version, &document, &inner) ==
		RC_OK &&
	    directory_parse(document, version, out_r, &inner) != RC_OK)
		log_error("stored directory does not parse", LOG_TENANT(tenant), LOG_ERR(&inner));
	arena_free(&a);
	return rc;
}

struct cache_source
policy_source(void)
{
	return (struct cache_source){.rules = source_rules, .directory = source_directory, .now_ms = clock_mono_ms};
}
