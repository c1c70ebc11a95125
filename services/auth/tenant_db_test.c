/* SPDX-License-Identifier: MIT
 *
 * Tenants, domains and their proofs, and that tenants do not meet.
 */
#define TEST_DB "auth_tenant_test"
#include "testing.h"

static void
test_tenant(void **state)
{
	struct actor a = new_tenant("\xe9\x96\xa2\xe6\x89\x80");
	Sekisho__Auth__TenantsRequest q = SEKISHO__AUTH__TENANTS_REQUEST__INIT;
	Sekisho__Auth__TenantsReply *list = NULL;
	Sekisho__Auth__DirectoryRequest dq = SEKISHO__AUTH__DIRECTORY_REQUEST__INIT;
	Sekisho__Auth__DirectoryReply *d = NULL;
	assert_int_equal(a.n_permissions, permission_count() - 1);
	assert_string_equal(a.name, "admin");
	assert_int_equal(ASK(tenants, NULL, &q, &list), RC_OK);
	assert_true(list->n_ids >= 1);
	assert_memory_equal(list->ids[list->n_ids - 1].data, a.tenant.b, 16);
	dq.tenant = wire_id(&a.tenant);
	assert_int_equal(ASK(directory, NULL, &dq, &d), RC_OK);
	assert_string_equal(d->tenant_name, "\xe9\x96\xa2\xe6\x89\x80");
	assert_int_equal(d->n_domains, 0);
	dq.tenant = wire_id(&a.account);
	assert_int_equal(ASK(directory, NULL, &dq, &d), RC_NOT_FOUND);
	dq.tenant.len = 5;
	assert_int_equal(ASK(directory, NULL, &dq, &d), RC_INVALID);
	assert_true(count_rows("SELECT count(*) FROM auth.audit_intent WHERE action = 'tenant.created' "
			       "AND outcome = 'ok'") >= 1);
}

static void
test_domains(void **state)
{
	struct actor one = new_tenant("one"), two = new_tenant("two");
	Sekisho__Auth__DomainAddReply *p = NULL, *again = NULL;
	Sekisho__Auth__RecipientRequest q = SEKISHO__AUTH__RECIPIENT_REQUEST__INIT;
	Sekisho__Auth__RecipientReply *r = NULL;
	Sekisho__Auth__DirectoryRequest dq = SEKISHO__AUTH__DIRECTORY_REQUEST__INIT;
	Sekisho__Auth__DirectoryReply *before = NULL, *after = NULL;
	dq.tenant = wire_id(&one.tenant);
	assert_int_equal(ASK(directory, NULL, &dq, &before), RC_OK);
	auth.dns_server = "127.0.0.1@1"; /* nobody answers there: a claim stays a claim */
	auth.dns_ms = 300;
	assert_int_equal(add_domain(&one, NULL, "One.Example", 1, false, &p), RC_OK);
	assert_false(p->proven);
	assert_string_equal(p->txt_name, "_sekisho-challenge.one.example");
	assert_int_equal(add_domain(&one, NULL, "one.example", 1, false, &again), RC_OK);
	assert_false(again->proven);
	assert_string_equal(again->txt_value, p->txt_value);
	auth.dns_server = "";
	auth.dns_ms = 5000;
	q.domain = "one.example";
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_NOT_FOUND);

	assert_int_equal(add_domain(&one, NULL, "one.example", 1, true, &p), RC_DENIED);
	assert_int_equal(add_domain(&one, &two, "one.example", 1, false, &p), RC_DENIED);
	assert_int_equal(add_domain(&platform, NULL, "one.example", 1, true, &p), RC_INVALID);
	assert_int_equal(add_domain(&platform, &one, "one.example", 2, true, &p), RC_INVALID);
	assert_int_equal(add_domain(&platform, &one, "one.example", 7, false, &p), RC_INVALID);
	assert_int_equal(add_domain(&platform, &one, "one.example", 1, true, &p), RC_OK);
	assert_true(p->proven);
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_OK);
	assert_memory_equal(r->tenant.data, one.tenant.b, 16);
	q.domain = "ONE.example";
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_OK);
	q.domain = "sub.one.example";
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_NOT_FOUND);
	q.domain = "'; DROP";
	assert_int_equal(ASK(recipient, NULL, &q, &r), RC_NOT_FOUND);
	/* Proven once: nobody else's, and of no other class. */
	assert_int_equal(add_domain(&platform, &two, "one.example", 1, true, &p), RC_CONFLICT);
	assert_int_equal(add_domain(&one, NULL, "one.example", 2, false, &p), RC_CONFLICT);
	assert_int_equal(add_domain(&two, NULL, "one.example", 2, false, &p), RC_OK); /* as a partner: any tenant */
	assert_int_equal(add_domain(&two, NULL, "one.example", 0, false, &p), RC_OK);

	assert_int_equal(ASK(directory, NULL, &dq, &after), RC_OK);
	assert_true(after->version > before->version);
	assert_int_equal(after->n_domains, 1);
	assert_true(after->domains[0]->proven && after->domains[0]->class_ == 1);
}

/* As the service's role, without a tenant: nothing of any tenant's can be seen or changed. */
static void
test_isolation(void **state)
{
	static const char *const tables[] = {
	    "SELECT count(*) FROM auth.tenant",	    "SELECT count(*) FROM auth.account",
	    "SELECT count(*) FROM auth.credential", "SELECT count(*) FROM auth.address",
	    "SELECT count(*) FROM auth.domain",	    "SELECT count(*) FROM auth.audit_intent",
	};
	struct db_tx *tx = NULL;
	struct db_rows *rows = NULL;
	assert_true(count_rows("SELECT count(*) FROM auth.credential") > 0);
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		assert_int_equal(db_begin(svc.db, NULL, clock_mono_ms() + MS, &tx, NULL), RC_OK);
		assert_int_equal(db_query(tx, tables[i], NULL, &rows, NULL), RC_OK);
		assert_true(db_rows_next(rows));
		assert_int_equal(db_int(rows, 0), 0);
		db_rows_free(&rows);
		db_end(&tx);
	}
	int64_t n = 0;
	assert_int_equal(db_begin(svc.db, NULL, clock_mono_ms() + MS, &tx, NULL), RC_OK);
	assert_int_equal(db_exec_count(tx, "DELETE FROM auth.audit_intent", NULL, &n, NULL), RC_DENIED);
	db_end(&tx);
}

/* --- DNS -------------------------------------------------------------------------------------------------------- */
struct dns {
	int fd;
	char txt[80];
};

/* Answers every question with one TXT record, until told to stop by an empty packet. */
static void *
dns_main(void *ctx)
{
	struct dns *d = ctx;
	uint8_t b[1500];
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(d->fd, b, sizeof(b), 0, (struct sockaddr *)&from, &len);
		if (n <= 12)
			return NULL;
		size_t end = 12;
		while (end < (size_t)n && b[end] != 0)
			end += b[end] + 1u;
		end += 5;
		size_t text = strlen(d->txt);
		const uint8_t head[] = {0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0};
		const uint8_t answer[] = {0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 1, 0, (uint8_t)(text + 1), (uint8_t)text};
		memcpy(b + 2, head, sizeof(head));
		memcpy(b + end, answer, sizeof(answer));
		memcpy(b + end + sizeof(answer), d->txt, text);
		sendto(d->fd, b, end + sizeof(answer) + text, 0, (struct sockaddr *)&from, len);
	}
}

static void
test_dns(void **state)
{
	struct actor one = new_tenant("dns");
	Sekisho__Auth__DomainAddReply *p = NULL;
	struct dns d = {.fd = socket(AF_INET, SOCK_DGRAM, 0), .txt = "v=spf1 -all"};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	pthread_t thread;
	assert_int_equal(bind(d.fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(d.fd, (struct sockaddr *)&at, &len), 0);
	auth.dns_server = arena_printf(arena, "127.0.0.1@%d", ntohs(at.sin_port));
	assert_int_equal(pthread_create(&thread, NULL, dns_main, &d), 0);
	assert_int_equal(add_domain(&one, NULL, "dns.example", 1, false, &p), RC_OK);
	assert_int_equal(add_domain(&one, NULL, "dns.example", 1, false, &p), RC_OK);
	assert_false(p->proven); /* a record, but another one */
	snprintf(d.txt, sizeof(d.txt), "%s", p->txt_value);
	assert_int_equal(add_domain(&one, NULL, "dns.example", 1, false, &p), RC_OK);
	assert_true(p->proven);
	assert_string_equal(p->txt_value, "");
	assert_int_equal(add_user(&one, "dns.user", "", "a@dns.example", NULL), RC_OK);
	assert_int_equal(sendto(d.fd, "", 0, 0, (struct sockaddr *)&at, len), 0);
	pthread_join(thread, NULL);
	close(d.fd);
	auth.dns_server = "";
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tenant),
	    cmocka_unit_test(test_domains),
	    cmocka_unit_test(test_isolation),
	    cmocka_unit_test(test_dns),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
