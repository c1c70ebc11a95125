/* SPDX-License-Identifier: MIT
 *
 * Payloads, several signatures while secrets overlap, what people may ask of a webhook, and the mail with the head.
 */
#include "send.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "head_text.h"
#include "sign.h"
#include "smtp/address.h"
#include "wish.h"

#define AT INT64_C(1795341845678901) /* 2026-11-22T10:04:05.678901Z */

static void
test_payload(void **state)
{
	struct send_event ev = {
	    .id = uuid_v7(AT), .type = "message.accepted", .position = 5, .at_us = AT, .data = bytes_str("{\"n\":1}")};
	struct buf a, b;
	buf_init(&a, 0);
	buf_init(&b, 0);
	send_payload(&ev, &a);
	send_payload(&ev, &b);
	assert_true(bytes_eq(buf_bytes(&a), buf_bytes(&b)));
	json_t *j = json_loadb((const char *)a.p, a.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	assert_int_equal(json_object_size(j), 3);
	assert_string_equal(json_string_value(json_object_get(j, "type")), "message.accepted");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "data"), "n")), 1);
	assert_int_equal(strlen(json_string_value(json_object_get(j, "timestamp"))), 27);
	json_decref(j);
	buf_done(&a);
	buf_done(&b);
}

static void
test_overlap(void **state)
{
	char now[SIGN_SECRET_SIZE], old[SIGN_SECRET_SIZE], value[SIGN_VALUE_SIZE];
	struct send_secrets s = {.old_until_us = AT};
	struct bytes payload = bytes_str("{}");
	struct buf out;
	struct err e;
	sign_secret_make(now);
	sign_secret_make(old);
	buf_init(&s.now, 0);
	buf_init(&s.old, 0);
	buf_init(&out, 0);
	buf_add_str(&s.now, now);
	assert_int_equal(send_signatures(&s, "id", AT - 1, payload, &out, &e), RC_OK);
	assert_null(strchr((const char *)out.p, ' '));
	buf_add_str(&s.old, old);
	buf_reset(&out);
	assert_int_equal(send_signatures(&s, "id", AT - 1, payload, &out, &e), RC_OK);
	char *second = strchr((char *)out.p, ' ');
	assert_non_null(second);
	*second++ = '\0';
	assert_int_equal(sign_value(bytes_str(now), "id", (AT - 1) / 1000000, payload, value, &e), RC_OK);
	assert_string_equal((const char *)out.p, value); /* the new one first */
	assert_int_equal(sign_value(bytes_str(old), "id", (AT - 1) / 1000000, payload, value, &e), RC_OK);
	assert_string_equal(second, value);
	buf_reset(&out);
	assert_int_equal(send_signatures(&s, "id", AT, payload, &out, &e), RC_OK); /* its time is over */
	assert_null(strchr((const char *)out.p, ' '));
	buf_done(&out);
	send_secrets_done(&s);
}

static void
test_types(void **state)
{
	static const struct {
		const char *type;
		bool good;
	} table[] = {
	    {"message.accepted", true},
	    {"webhook.gave_up", true},
	    {"recipient.delivered", true},
	    {"", false},
	    {"message", false},
	    {"mail.accepted", false},
	    {"webhook.test", false},
	    {"message.accepted ", false},
	    {"Message.accepted", false},
	    {"message.*", false},
	    {"日本.語", false},
	};
	struct err e;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *v[] = {(char *)(uintptr_t)table[i].type};
		if ((wish_types(v, 1, &e) == RC_OK) != table[i].good)
			fail_msg("\"%s\"", table[i].type);
	}
	char *twice[] = {"message.accepted", "recipient.held", "message.accepted"};
	assert_int_equal(wish_types(twice, 3, &e), RC_INVALID);
	assert_memory_equal(e.text, "types[2]: ", 10);
	assert_int_equal(wish_types(NULL, 0, &e), RC_OK);
	char *many[NOTIFY_TYPES_MAX + 1];
	for (size_t i = 0; i <= NOTIFY_TYPES_MAX; i++)
		many[i] = "message.accepted";
	assert_int_equal(wish_types(many, NOTIFY_TYPES_MAX + 1, &e), RC_INVALID);
	assert_int_equal(wish_description("受注システム", &e), RC_OK);
	assert_int_equal(wish_description("two\nlines", &e), RC_INVALID);
	assert_int_equal(wish_description("\xff", &e), RC_INVALID);
}

static void
test_head_mail(void **state)
{
	struct arena *a = arena_new();
	struct head_facts f = {1234567, AT, "sekisho.example/t\n1234567\nROOT=\n\n— sekisho SIG=\n", "name+hash+key"};
	static const char *const languages[] = {"ja", "en", ""};
	for (size_t i = 0; i < 3; i++) {
		struct head_mail m = head_text(&f, languages[i], a);
		assert_true(smtp_utf8_valid(bytes_str(m.subject)) && smtp_utf8_valid(bytes_str(m.text)));
		assert_null(strchr(m.subject, '\n'));
		assert_null(strchr(m.text, '\r'));
		assert_non_null(strstr(m.text, f.checkpoint));
		assert_non_null(strstr(m.text, f.verifier_key));
		assert_non_null(strstr(m.text, "sekisho audit verify EXPORT --head "));
		assert_non_null(strstr(m.text, m.file));
		/* both languages, the tenant's own first */
		const char *ja = strstr(m.text, "監査記録"), *en = strstr(m.text, "audit record");
		assert_non_null(ja);
		assert_non_null(en);
		assert_int_equal(ja < en, i == 0);
		for (const char *p = m.text; *p != '\0'; p += strcspn(p, "\n") + 1)
			assert_true(strcspn(p, "\n") < 998);
	}
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_payload), cmocka_unit_test(test_overlap),
					   cmocka_unit_test(test_types), cmocka_unit_test(test_head_mail)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
