/* SPDX-License-Identifier: MIT
 *
 * Canonicalisation and signing over any octets: the first line of the input says how they are cut into fields and
 * pieces. The result must not depend on the cuts of the body.
 */
#include "mail/dkim.h"

#include <stdlib.h>

#include "mail/dkim_canon.h"
#include "mail/sevenbit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
gather(void *ctx, const void *p, size_t n)
{
	buf_add(ctx, p, n);
}

static void
body_in_steps(struct bytes in, size_t step, struct buf *out)
{
	struct dkim_canon_body *c = malloc(sizeof(*c));
	if (c == NULL)
		abort();
	dkim_canon_body_init(c, gather, out);
	for (size_t i = 0; i < in.n; i += step)
		dkim_canon_body_feed(c, bytes_of(in.p + i, in.n - i < step ? in.n - i : step));
	dkim_canon_body_end(c);
	free(c);
}

/* Ranges as facts_decode() lets them through: in order, inside. */
static void
variant(struct bytes msg, size_t a1, size_t a2)
{
	struct arena *a = arena_new();
	struct facts_part parts[3] = {
	    {-1, 0, a1, a1, msg.n - a1, "multipart/mixed", "", "8bit", "", ""},
	    {0, a1, a2 - a1, a2, msg.n - a2, "text/plain", "", "", "", ""},
	    {0, a2, 0, a2, msg.n - a2, "text/html", "", "8bit", "", ""},
	};
	struct facts f = {.size = msg.n, .header_length = (uint32_t)a1, .parts = parts, .n_parts = 3};
	struct sevenbit v;
	struct err err;
	if (sevenbit_make(&f, msg, a, &v, &err) == RC_OK)
		for (size_t i = 0; i < v.n_pieces; i++)
			for (size_t k = 0; k < v.pieces[i].n; k++)
				if (v.pieces[i].p[k] >= 0x80)
					abort();
	arena_free(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dkim_key *key;
	struct err err;
	if (key == NULL) {
		struct buf pkcs8, b64;
		buf_init(&pkcs8, 0);
		buf_init(&b64, 0);
		if (dkim_key_make(DKIM_ED25519_SHA256, &pkcs8, &b64, &err) != RC_OK ||
		    dkim_key_open(DKIM_ED25519_SHA256, buf_bytes(&pkcs8), "example.test", "s", &key, &err) != RC_OK)
			abort();
		buf_done(&pkcs8);
		buf_done(&b64);
	}
	if (size < 3)
		return 0;
	size_t step = data[0] % 16 + 1, cut = data[1] * (size - 3) / 255, cut2 = data[2] * (size - 3) / 255;
	struct bytes in = bytes_of(data + 3, size - 3);
	struct buf one, two;
	buf_init(&one, 0);
	buf_init(&two, 0);
	body_in_steps(in, in.n + 1, &one);
	body_in_steps(in, step, &two);
	if (!bytes_eq(buf_bytes(&one), buf_bytes(&two)))
		abort();
	struct bytes fields[4] = {bytes_str("From: a\r\n"), bytes_of(in.p, cut), bytes_of(in.p + cut, in.n - cut), in};
	struct bytes body[2] = {bytes_of(in.p, cut), bytes_of(in.p + cut, in.n - cut)};
	struct dkim_message m = {.fields = fields, .n_fields = 4, .body = body, .n_body = 2};
	const struct dkim_key *k = key;
	buf_reset(&one);
	if (dkim_sign(&m, &k, 1, &one, &err) != RC_OK)
		abort();
	variant(in, cut < cut2 ? cut : cut2, cut < cut2 ? cut2 : cut);
	buf_done(&one);
	buf_done(&two);
	return 0;
}
