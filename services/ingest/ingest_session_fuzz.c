/* SPDX-License-Identifier: MIT
 *
 * A session fed with anything, in pieces of any size. What must hold: no octet is taken twice, a reply is whole lines,
 * memory of messages is given back, a message that got through is canonical.
 */
#include <stdlib.h>

#include "ingest_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_message(const struct envelope *e)
{
	struct bytes b = buf_bytes(&e->body);
	if (e->n_recipients == 0 || !e->has_tenant)
		abort();
	for (size_t i = 0; i < b.n; i++) {
		bool lf = b.p[i] == '\n', cr = b.p[i] == '\r';
		if ((lf && (i == 0 || b.p[i - 1] != '\r')) || (cr && (i + 1 == b.n || b.p[i + 1] != '\n')) ||
		    b.p[i] == '\0')
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct testing t;
	if (n < 2)
		return 0;
	testing_init(&t, (enum session_kind)(p[0] & 3), (p[0] & 4) != 0);
	size_t piece = p[1] != 0 ? p[1] : n;
	for (size_t i = 2; i < n; i += piece) {
		testing_feed(&t, p + i, n - i < piece ? n - i : piece);
		if (t.want == SESSION_STARTTLS) {
			buf_reset(&t.in);
			session_tls_started(t.session, "TLSv1.3 TEST");
			t.want = SESSION_MORE;
		}
	}
	if (t.out.n < 2 || memcmp(t.out.p + t.out.n - 2, "\r\n", 2) != 0)
		abort();
	if (t.last != NULL)
		check_message(t.last);
	testing_done(&t);
	if (t.budget.used != 0)
		abort();
	return 0;
}
