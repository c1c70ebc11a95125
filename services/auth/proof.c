/* SPDX-License-Identifier: MIT
 *
 * libunbound's resolver runs in a thread of its own context; this thread waits on its descriptor until the deadline.
 */
#include "proof.h"

#include <poll.h>
#include <stdio.h>
#include <unbound.h>

#include "core/clock.h"

#define RECORD_MAX 512
#define TYPE_TXT   16
#define CLASS_IN   1
#define NXDOMAIN   3

bool
proof_txt_equals(struct bytes rdata, struct bytes value)
{
	uint8_t joined[RECORD_MAX];
	size_t n = 0, at = 0;
	if (rdata.n > sizeof(joined))
		return false;
	while (at < rdata.n) {
		size_t len = rdata.p[at++];
		if (len > rdata.n - at)
			return false;
		memcpy(joined + n, rdata.p + at, len);
		n += len;
		at += len;
	}
	return bytes_eq(bytes_of(joined, n), value);
}

struct lookup {
	bool done;
	int error;
	struct ub_result *result;
};

static void
on_result(void *ctx, int error, struct ub_result *result)
{
	struct lookup *l = ctx;
	l->done = true;
	l->error = error;
	l->result = result;
}

static bool
configure(struct ub_ctx *ub, const struct proof_resolver *r)
{
	if (ub_ctx_async(ub, 1) != 0 || ub_ctx_debuglevel(ub, 0) != 0)
		return false;
	if (r->anchor[0] != 0 && ub_ctx_add_ta_file(ub, r->anchor) != 0)
		return false;
	if (r->server[0] != 0)
		return ub_ctx_set_option(ub, "do-not-query-localhost:", "no") == 0 &&
		       ub_ctx_set_fwd(ub, r->server) == 0;
	return ub_ctx_resolvconf(ub, NULL) == 0;
}

static bool
wait_for(struct ub_ctx *ub, struct lookup *l, int64_t deadline_ms)
{
	while (!l->done) {
		struct pollfd f = {.fd = ub_fd(ub), .events = POLLIN};
		int64_t left = clock_left_ms(deadline_ms);
		if (left == 0)
			return false;
		if (poll(&f, 1, (int)left) > 0 && ub_process(ub) != 0)
			return false;
	}
	return true;
}

static enum rc
judge(const struct lookup *l, struct bytes value, struct err *e)
{
	const struct ub_result *res = l->result;
	if (l->error != 0 || res == NULL || (res->rcode != 0 && res->rcode != NXDOMAIN))
		return err_set(e, RC_RETRY, "DNS gave no answer");
	for (int i = 0; !res->bogus && res->havedata && res->data[i] != NULL; i++)
		if (proof_txt_equals(bytes_of(res->data[i], (size_t)res->len[i]), value))
			return RC_OK;
	return err_set(e, RC_NOT_FOUND, res->bogus ? "DNSSEC validation failed" : "the TXT record is not there");
}

enum rc
proof_look_up(const struct proof_resolver *r, const char *domain, const char *value, int64_t deadline_ms, struct err *e)
{
	char name[512];
	struct lookup l = {0};
	int id = 0;
	snprintf(name, sizeof(name), "%s%s", PROOF_LABEL, domain);
	struct ub_ctx *ub = ub_ctx_create();
	if (ub == NULL)
		return err_set(e, RC_INTERNAL, "no memory for a resolver");
	enum rc rc = RC_OK;
	if (!configure(ub, r))
		rc = err_set(e, RC_INTERNAL, "the resolver cannot be configured");
	else if (ub_resolve_async(ub, name, TYPE_TXT, CLASS_IN, &l, on_result, &id) != 0)
		rc = err_set(e, RC_RETRY, "DNS cannot be asked");
	else if (!wait_for(ub, &l, deadline_ms))
		rc = err_set(e, RC_RETRY, "DNS gave no answer in time");
	else
		rc = judge(&l, bytes_str(value), e);
	ub_resolve_free(l.result);
	ub_ctx_delete(ub);
	return rc;
}
