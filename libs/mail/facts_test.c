/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/facts.h"
#include "proto/facts.pb-c.h"

static const char message[] = "From: a@example.jp\r\nTo: b@example.com\r\nX:\r\n  folded\r\n\r\nbody";

struct sample {
	struct facts f;
	struct facts_field fields[3];
	struct facts_part parts[3];
	struct facts_attachment attachments[1];
	struct facts_address from[1];
};

static void
sample_init(struct sample *s)
{
	*s = (struct sample){0};
	s->f.verdict = FACTS_CLEAN;
	s->f.scanner = "clamav";
	s->f.size = sizeof(message) - 1;
	s->f.header_length = 53;
	s->f.subject = "\xe6\x97\xa5\xe6\x9c\xac";
	s->f.fields = s->fields;
	s->f.n_fields = 3;
	s->fields[0] = (struct facts_field){0, 4, 20};
	s->fields[1] = (struct facts_field){20, 2, 19};
	s->fields[2] = (struct facts_field){39, 1, 14};
	s->f.parts = s->parts;
	s->f.n_parts = 3;
	s->parts[0] = (struct facts_part){.parent = -1, .header_length = 53, .body_offset = 55, .body_length = 4};
	s->parts[1] = (struct facts_part){.parent = 0, .header_offset = 55, .body_offset = 55, .body_length = 2};
	s->parts[2] = (struct facts_part){.parent = 0, .header_offset = 57, .body_offset = 57, .body_length = 2};
	s->f.attachments = s->attachments;
	s->f.n_attachments = 1;
	s->attachments[0] = (struct facts_attachment){.name = "a.txt", .size = 2, .part = 1};
	s->f.from = (struct facts_addresses){s->from, 1};
	s->from[0] = (struct facts_address){"A", "a@example.jp"};
}

static enum rc
round_trip(const struct facts *in, struct arena *a, struct facts **out_r)
{
	struct buf b;
	struct err e;
	buf_init(&b, 0);
	assert_int_equal(facts_encode(in, &b, &e), RC_OK);
	enum rc rc = facts_decode(buf_bytes(&b), a, out_r, &e);
	buf_done(&b);
	return rc;
}

static void
what_goes_in_comes_out(void **state)
{
	struct sample s;
	struct facts *f;
	struct arena *a = arena_new();
	sample_init(&s);
	assert_int_equal(round_trip(&s.f, a, &f), RC_OK);
	assert_int_equal(f->verdict, FACTS_CLEAN);
	assert_string_equal(f->subject, s.f.subject);
	assert_string_equal(f->text, "");
	assert_string_equal(f->from.v[0].addr, "a@example.jp");
	assert_int_equal(f->n_fields, 3);
	assert_memory_equal(f->fields, s.fields, sizeof(s.fields));
	assert_int_equal(f->parts[2].body_offset, 57);
	assert_string_equal(f->attachments[0].name, "a.txt");
	assert_string_equal(f->parts[0].content_type, "");
	arena_free(&a);
}

static void
fields_are_found(void **state)
{
	struct sample s;
	struct bytes msg = bytes_str(message);
	sample_init(&s);
	assert_int_equal(facts_find_field(&s.f, msg, "TO", 0), 1);
	assert_int_equal(facts_find_field(&s.f, msg, "to", 2), -1);
	assert_int_equal(facts_find_field(&s.f, msg, "Fro", 0), -1);
	assert_true(bytes_eq(facts_field_value(&s.fields[0], msg), bytes_str(" a@example.jp")));
	assert_true(bytes_eq(facts_field_value(&s.fields[2], msg), bytes_str("\r\n  folded")));
	struct facts_field outside = {1000, 1, 10};
	assert_int_equal(facts_field_value(&outside, msg).n, 0);
}

/* Each breaks one thing; nothing of it may decode. */
#define HARM(name, code)                                                                                               \
	static void name(struct sample *s)                                                                             \
	{                                                                                                              \
		code;                                                                                                  \
	}
HARM(harm_verdict, s->f.verdict = 7)
HARM(harm_signature, s->f.signature = "X")
HARM(harm_infected, s->f.verdict = FACTS_INFECTED)
HARM(harm_header_length, s->f.header_length = 1000)
HARM(harm_longest, s->f.longest_line = 1000)
HARM(harm_field_outside, s->fields[2].length = 15)
HARM(harm_field_overlap, s->fields[1].offset = 19)
HARM(harm_field_order, s->fields[0].offset = 30)
HARM(harm_field_wraps, s->fields[2].offset = 0xfffffff0)
HARM(harm_field_name, s->fields[0].name_length = 0)
HARM(harm_field_name_long, s->fields[0].name_length = 20)
HARM(harm_root, s->parts[0].parent = 0)
HARM(harm_second_root, s->parts[1].parent = -1)
HARM(harm_parent_later, s->parts[1].parent = 2)
HARM(harm_parent_self, s->parts[1].parent = 1)
HARM(harm_parent_negative, s->parts[1].parent = -2)
HARM(harm_part_outside, s->parts[0].body_length = 5)
HARM(harm_part_wraps, s->parts[0].body_length = UINT64_MAX)
HARM(harm_header_wraps, s->parts[0].header_length = UINT64_MAX)
HARM(harm_body_in_header, s->parts[0].body_offset = 52)
HARM(harm_child_outside, s->parts[2].body_length = 3)
HARM(harm_child_before, s->parts[1].header_offset = 54)
HARM(harm_siblings_overlap, s->parts[2].header_offset = s->parts[2].body_offset = 56)
HARM(harm_attachment_part, s->attachments[0].part = 3)
HARM(harm_utf8, s->f.subject = "\xff")
HARM(harm_surrogate, s->f.subject = "\xed\xa0\x80")
HARM(harm_overlong, s->f.subject = "\xc0\xaf")
HARM(harm_cut_utf8, s->from[0].addr = "\xe6\x97")

static void
what_is_broken_is_refused(void **state)
{
	static void (*const all[])(struct sample *) = {
	    harm_verdict,	  harm_signature,     harm_infected,	     harm_header_length,   harm_longest,
	    harm_field_outside,	  harm_field_overlap, harm_field_order,	     harm_field_wraps,	   harm_field_name,
	    harm_field_name_long, harm_root,	      harm_second_root,	     harm_parent_later,	   harm_parent_self,
	    harm_parent_negative, harm_part_outside,  harm_part_wraps,	     harm_header_wraps,	   harm_body_in_header,
	    harm_child_outside,	  harm_child_before,  harm_siblings_overlap, harm_attachment_part, harm_utf8,
	    harm_surrogate,	  harm_overlong,      harm_cut_utf8,
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct sample s;
		struct facts *f = NULL;
		struct arena *a = arena_new();
		sample_init(&s);
		all[i](&s);
		if (round_trip(&s.f, a, &f) != RC_INVALID || f != NULL)
			fail_msg("harm %zu was taken", i);
		arena_free(&a);
	}
}

static enum rc
decode(const void *p, size_t n)
{
	struct facts *f = NULL;
	struct err e;
	struct arena *a = arena_new();
	enum rc rc = facts_decode(bytes_of(p, n), a, &f, &e);
	arena_free(&a);
	return rc;
}

static void
wire_is_strict(void **state)
{
	struct buf b;
	struct err e;
	struct sample s;
	sample_init(&s);
	buf_init(&b, 0);
	assert_int_equal(facts_encode(&s.f, &b, &e), RC_OK);
	assert_int_equal(decode(b.p, b.n), RC_OK);
	/* Between two fields of the message a cut cannot be seen (the packet says where it ends); anywhere else it is.
	 */
	size_t whole = b.n, unseen = 0;
	for (size_t cut = 1; cut < whole; cut++)
		unseen += decode(b.p, cut) == RC_OK;
	assert_true(unseen < 20);
	buf_add(&b, "\xfa\x3f\x01x", 4); /* an unknown field of a later version */
	assert_int_equal(decode(b.p, b.n), RC_OK);
	buf_add(&b, "\xfb\x3f", 2); /* a group */
	assert_int_equal(decode(b.p, b.n), RC_INVALID);
	b.n = whole;
	buf_add(&b,
		"\x52\x03"
		"a\0b",
		5); /* a subject with NUL, and a second one */
	assert_int_equal(decode(b.p, b.n), RC_INVALID);
	b.n = whole;
	buf_add(&b, "\x08\x01", 2); /* a second verdict */
	assert_int_equal(decode(b.p, b.n), RC_INVALID);
	b.n = whole;
	buf_add(&b, "\x0a\x00", 2); /* the verdict as a string */
	assert_int_equal(decode(b.p, b.n), RC_INVALID);
	assert_int_equal(decode("\x52\x03"
				"a\0b",
				5),
			 RC_INVALID);
	assert_int_equal(decode("", 0), RC_INVALID);
	buf_done(&b);
}

static void
counts_are_bounded_before_memory_is_spent(void **state)
{
	struct buf b;
	struct sample s;
	struct err e;
	sample_init(&s);
	buf_init(&b, 0);
	assert_int_equal(facts_encode(&s.f, &b, &e), RC_OK);
	size_t whole = b.n;
	for (int i = 0; i < FACTS_ADDRESSES_MAX; i++)
		buf_add(&b, "\x6a\x00", 2); /* to */
	assert_int_equal(decode(b.p, b.n), RC_OK);
	buf_add(&b, "\x6a\x00", 2);
	assert_int_equal(decode(b.p, b.n), RC_INVALID);
	b.n = whole;
	for (int i = 0; i <= FACTS_PARTS_MAX; i++)
		buf_add(&b, "\xa2\x03\x00", 3);
	assert_int_equal(decode(b.p, b.n), RC_INVALID);
	buf_done(&b);
}

static void
a_long_text_fits_and_a_longer_one_does_not(void **state)
{
	struct sample s;
	struct facts *f;
	struct arena *a = arena_new();
	char *text = malloc(FACTS_TEXT_MAX + 2);
	assert_non_null(text);
	memset(text, 'x', FACTS_TEXT_MAX + 1);
	text[FACTS_TEXT_MAX] = '\0';
	sample_init(&s);
	s.f.text = text;
	assert_int_equal(round_trip(&s.f, a, &f), RC_OK);
	assert_int_equal(strlen(f->text), FACTS_TEXT_MAX);
	text[FACTS_TEXT_MAX] = 'x';
	text[FACTS_TEXT_MAX + 1] = '\0';
	assert_int_equal(round_trip(&s.f, a, &f), RC_INVALID);
	s.f.text = "";
	text[FACTS_STRING_MAX + 1] = '\0';
	s.f.message_id = text;
	assert_int_equal(round_trip(&s.f, a, &f), RC_INVALID);
	free(text);
	arena_free(&a);
}

static void
verdicts_have_names(void **state)
{
	for (int v = 0; v <= FACTS_LIMIT; v++)
		assert_string_not_equal(facts_verdict_str((enum facts_verdict)v), "unknown");
	assert_string_equal(facts_verdict_str((enum facts_verdict)99), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_goes_in_comes_out),
	    cmocka_unit_test(fields_are_found),
	    cmocka_unit_test(what_is_broken_is_refused),
	    cmocka_unit_test(wire_is_strict),
	    cmocka_unit_test(counts_are_bounded_before_memory_is_spent),
	    cmocka_unit_test(a_long_text_fits_and_a_longer_one_does_not),
	    cmocka_unit_test(verdicts_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
