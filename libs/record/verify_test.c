/* SPDX-License-Identifier: MIT
 *
 * Exports made here, manipulated in every way of a table, and read by the verifier; signed notes; lines and records
 * there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/base64.h"
#include "record/verify.h"

#define ENTRIES	   2500
#define HEAD_EVERY 500
#define ORIGIN	   "log.example/audit/00000000-0000-7000-8000-000000000001"

static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
			  "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
			  "-----END PRIVATE KEY-----\n";
static const char other_pem[] = "-----BEGIN PRIVATE KEY-----\n"
				"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
				"-----END PRIVATE KEY-----\n";
static struct note_signer *signer, *other_signer;
static const struct uuid tenant = {{0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1}};

static struct note_signer *
signer_of(const char *text)
{
	char path[] = "/tmp/verify-test-XXXXXX";
	struct note_signer *s = NULL;
	struct err e;
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	assert_int_equal(note_signer_open(path, &s, &e), RC_OK);
	unlink(path);
	return s;
}

/* --- an export --------------------------------------------------------------------------------------------------- */
struct export
{
	char *lines[ENTRIES * 2];
	size_t n;
	size_t line_of[ENTRIES]; /* of an entry */
	struct merkle_hash root[ENTRIES + 1];
	struct merkle_hash leaf[ENTRIES];
};

static void
make_record(uint64_t i, const char *word, struct buf *out)
{
	struct record_entry r = {.at_us = INT64_C(1795316645000000) + (int64_t)i,
				 .service = "delivery",
				 .action = "recipient.delivered",
				 .outcome = "ok",
				 .actor = bytes_str("system"),
				 .number = (int32_t)(i % 7),
				 .detail = bytes_str(word),
				 .trace = ""};
	memcpy(r.id.b, &i, sizeof(i));
	record_entry_write(&r, out);
}

static void
add_line(struct export *x, const struct buf *b)
{
	x->lines[x->n++] = strndup((const char *)b->p, b->n - 1);
}

static void
make_note(struct note_signer *s, uint64_t size, const struct merkle_hash *root, struct buf *out)
{
	struct note_head h = {.origin = ORIGIN, .size = size, .root = *root};
	assert_int_equal(note_sign(s, &h, out, NULL), RC_OK);
}

static void
make_header(struct export *x, struct note_signer *s, uint64_t size, struct buf *out)
{
	struct note_key k;
	struct buf key, note;
	buf_init(&key, 0);
	buf_init(&note, 0);
	assert_int_equal(note_signer_key(s, ORIGIN, &k, NULL), RC_OK);
	note_key_format(&k, &key);
	make_note(s, size, &x->root[size], &note);
	line_write_header(out, &tenant, size, buf_bytes(&key), buf_bytes(&note), (struct bytes){0}, NULL);
	buf_done(&key);
	buf_done(&note);
}

/* change_at: from this entry on the words are other ones. */
static struct export *
make_export(struct note_signer *s, uint64_t size, uint64_t change_at, bool heads)
{
	struct export *x = calloc(1, sizeof(*x));
	struct merkle_frontier f = {0};
	struct buf b, record, note;
	buf_init(&b, 0);
	buf_init(&record, 0);
	buf_init(&note, 0);
	merkle_frontier_root(&f, &x->root[0]);
	x->n = 1;
	for (uint64_t i = 0; i < size; i++) {
		uint8_t salt[32] = {(uint8_t)i, (uint8_t)(i >> 8), 3};
		buf_reset(&record);
		buf_reset(&b);
		make_record(i, i < change_at ? "{\"a\":1}" : "{\"a\":2}", &record);
		record_leaf(salt, buf_bytes(&record), &x->leaf[i]);
		merkle_frontier_add(&f, &x->leaf[i]);
		merkle_frontier_root(&f, &x->root[i + 1]);
		line_write_entry(&b, i, &x->leaf[i], i % 97 == 5 ? NULL : salt, NULL, 0, buf_bytes(&record));
		x->line_of[i] = x->n;
		add_line(x, &b);
		if (heads && (i + 1) % HEAD_EVERY == 0) {
			buf_reset(&b);
			buf_reset(&note);
			make_note(s, i + 1, &x->root[i + 1], &note);
			line_write_head(&b, buf_bytes(&note));
			add_line(x, &b);
		}
	}
	buf_reset(&b);
	make_header(x, s, size, &b);
	x->lines[0] = strndup((const char *)b.p, b.n - 1);
	buf_done(&b);
	buf_done(&record);
	buf_done(&note);
	return x;
}

static void
free_export(struct export *x)
{
	for (size_t i = 0; i < x->n; i++)
		free(x->lines[i]);
	free(x);
}

static struct verify_result
verify_with(const struct export *x, const struct note_key *key, const struct buf *heads, size_t n_heads)
{
	struct verifier *v = verifier_new(key);
	struct verify_result r;
	for (size_t i = 0; i < n_heads; i++)
		assert_int_equal(verifier_head(v, buf_bytes(&heads[i]), NULL), RC_OK);
	for (size_t i = 0; i < x->n && verifier_line(v, bytes_str(x->lines[i])); i++)
		;
	verifier_end(v, true, &r);
	verifier_free(&v);
	return r;
}

static struct verify_result
verify(const struct export *x)
{
	return verify_with(x, NULL, NULL, 0);
}

/* --- manipulations ------------------------------------------------------------------------------------------------ */
static void
drop(struct export *x, size_t line)
{
	free(x->lines[line]);
	memmove(&x->lines[line], &x->lines[line + 1], (x->n - line - 1) * sizeof(char *));
	x->n--;
}

static void
insert(struct export *x, size_t line, char *text)
{
	memmove(&x->lines[line + 1], &x->lines[line], (x->n - line) * sizeof(char *));
	x->lines[line] = text;
	x->n++;
}

/* Every entry's number is its place, as one who covers up would leave it. */
static void
renumber(struct export *x)
{
	uint64_t next = 0;
	for (size_t i = 1; i < x->n; i++) {
		char *rest, *text;
		if (strncmp(x->lines[i], "{\"index\":", 9) != 0)
			continue;
		strtoull(x->lines[i] + 9, &rest, 10);
		assert_true(asprintf(&text, "{\"index\":%llu%s", (unsigned long long)next++, rest) > 0);
		free(x->lines[i]);
		x->lines[i] = text;
	}
}

static void
edit_plain(struct export *x, uint64_t i)
{
	char *at = strstr(x->lines[x->line_of[i]], "\"a\":1");
	assert_non_null(at);
	at[4] = '7';
}

/* The leaf is made anew too. */
static void
edit_with_leaf(struct export *x, uint64_t i)
{
	struct line l;
	struct buf b;
	edit_plain(x, i);
	assert_int_equal(line_parse(bytes_str(x->lines[x->line_of[i]]), &l, NULL), RC_OK);
	record_leaf(l.salt, l.record, &l.leaf);
	buf_init(&b, 0);
	line_write_entry(&b, i, &l.leaf, l.salt, NULL, 0, l.record);
	free(x->lines[x->line_of[i]]);
	x->lines[x->line_of[i]] = strndup((const char *)b.p, b.n - 1);
	buf_done(&b);
}
static void
edit_salt(struct export *x, uint64_t i)
{
	char *at = strstr(x->lines[x->line_of[i]], "\"salt\":\"") + 8;
	*at = *at == '0' ? '1' : '0';
}
static void
delete_plain(struct export *x, uint64_t i)
{
	drop(x, x->line_of[i]);
}
static void
delete_renumbered(struct export *x, uint64_t i)
{
	drop(x, x->line_of[i]);
	renumber(x);
}
static void
delete_ten(struct export *x, uint64_t i)
{
	for (int k = 0; k < 10; k++)
		drop(x, x->line_of[i]);
}
static void
insert_copy(struct export *x, uint64_t i)
{
	insert(x, x->line_of[i] + 1, strdup(x->lines[x->line_of[i]]));
}
static void
insert_renumbered(struct export *x, uint64_t i)
{
	insert(x, x->line_of[i], strdup(x->lines[x->line_of[i] - 3]));
	renumber(x);
}
static void
swap(struct export *x, uint64_t i)
{
	char *t = x->lines[x->line_of[i]];
	x->lines[x->line_of[i]] = x->lines[x->line_of[i + 40]];
	x->lines[x->line_of[i + 40]] = t;
}
static void
swap_renumbered(struct export *x, uint64_t i)
{
	swap(x, i);
	renumber(x);
}
static void
move_down(struct export *x, uint64_t i)
{
	char *t = strdup(x->lines[x->line_of[i]]);
	insert(x, x->line_of[i + 30], t);
	drop(x, x->line_of[i]);
}
static void
truncate_at(struct export *x, uint64_t i)
{
	while (x->n > x->line_of[i])
		free(x->lines[--x->n]);
}
static void
forge_header(struct export *x, uint64_t i)
{
	char *at = strstr(x->lines[0], "\\u000a\\u000a"); /* the signature's last digits */
	at = strstr(at, "=\\u000a");
	assert_non_null(at);
	at[-5] = at[-5] == 'A' ? 'B' : 'A';
}
static void
other_size(struct export *x, uint64_t i)
{
	char *at = strstr(x->lines[0], "\"size\":2500");
	assert_non_null(at);
	at[7] = '1';
}
static void
rubbish(struct export *x, uint64_t i)
{
	x->lines[x->line_of[i]][0] = '[';
}
static void
reformat(struct export *x, uint64_t i)
{
	char *text;
	assert_true(asprintf(&text, "{ %s", x->lines[x->line_of[i]] + 1) > 0);
	free(x->lines[x->line_of[i]]);
	x->lines[x->line_of[i]] = text;
}
static void
forge_inner_head(struct export *x, uint64_t i)
{
	char *at = strstr(x->lines[x->line_of[499] + 1], "\\u000a500\\u000a");
	assert_non_null(at);
	at[8] = '1';
}

static const struct {
	const char *name;
	void (*spoil)(struct export *x, uint64_t i);
	uint64_t at;
	enum verify_kind kind;
	int64_t first; /* -1: not looked at */
} manipulations[] = {
    {"edit", edit_plain, 1234, VERIFY_EDIT, 1234},
    {"edit of the first", edit_plain, 0, VERIFY_EDIT, 0},
    {"edit of the last", edit_plain, ENTRIES - 1, VERIFY_EDIT, ENTRIES - 1},
    {"edit with a new leaf", edit_with_leaf, 1234, VERIFY_EDIT, 1000},
    {"edit with a new leaf of the last", edit_with_leaf, ENTRIES - 1, VERIFY_EDIT, 2000},
    {"edit of a salt", edit_salt, 77, VERIFY_EDIT, 77},
    {"deletion", delete_plain, 1234, VERIFY_DELETION, 1234},
    {"deletion of the first", delete_plain, 0, VERIFY_DELETION, 0},
    {"deletion of ten", delete_ten, 1234, VERIFY_DELETION, 1234},
    {"deletion, renumbered", delete_renumbered, 1234, VERIFY_DELETION, 1000},
    {"insertion", insert_copy, 1234, VERIFY_INSERTION, 1234},
    {"insertion after the last", insert_copy, ENTRIES - 1, VERIFY_INSERTION, -1},
    {"insertion, renumbered", insert_renumbered, 1234, VERIFY_INSERTION, 1000},
    {"exchange", swap, 1234, VERIFY_REORDERING, 1234},
    {"exchange, renumbered", swap_renumbered, 1234, VERIFY_EDIT, 1000},
    {"move", move_down, 1234, VERIFY_REORDERING, 1234},
    {"truncation", truncate_at, 2000, VERIFY_TRUNCATION, 2000},
    {"truncation to nothing", truncate_at, 0, VERIFY_TRUNCATION, 0},
    {"truncation of one", truncate_at, ENTRIES - 1, VERIFY_TRUNCATION, ENTRIES - 1},
    {"a forged head", forge_header, 0, VERIFY_REWRITE, 0},
    {"another size in the header", other_size, 0, VERIFY_EDIT, 0},
    {"rubbish", rubbish, 1234, VERIFY_EDIT, 1234},
    {"another spelling", reformat, 1234, VERIFY_EDIT, 1234},
    {"a forged head inside", forge_inner_head, 0, VERIFY_EDIT, 500},
};

static void
manipulations_are_found(void **state)
{
	for (size_t i = 0; i < sizeof(manipulations) / sizeof(manipulations[0]); i++) {
		struct export *x = make_export(signer, ENTRIES, ENTRIES, true);
		manipulations[i].spoil(x, manipulations[i].at);
		struct verify_result r = verify(x);
		printf("  %-34s %s at %llu: %s\n", manipulations[i].name, verify_kind_str(r.kind),
		       (unsigned long long)r.first, r.text);
		assert_int_equal(r.kind, manipulations[i].kind);
		if (manipulations[i].first >= 0)
			assert_int_equal(r.first, manipulations[i].first);
		free_export(x);
	}
}

static void
no_false_alarm(void **state)
{
	static const uint64_t some[] = {0, 1, 2, 255, 256, 257, 499, 500, 501, ENTRIES};
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		for (int heads = 0; heads < 2; heads++) {
			struct export *x = make_export(signer, some[i], ENTRIES, heads);
			struct verify_result r = verify(x);
			assert_int_equal(r.kind, VERIFY_GOOD);
			assert_int_equal(r.entries, some[i]);
			assert_int_equal(r.heads_inside, heads ? some[i] / HEAD_EVERY : 0);
			free_export(x);
		}
}

/* --- earlier heads ------------------------------------------------------------------------------------------------ */
static void
earlier_heads(void **state)
{
	struct export *x = make_export(signer, ENTRIES, ENTRIES, false),
		      *forked = make_export(signer, ENTRIES, 1200, false),
		      *other = make_export(other_signer, ENTRIES, ENTRIES, false),
		      *longer = make_export(signer, 2000, ENTRIES, false);
	struct buf h[3], wrong;
	struct note_key key, other_key;
	for (int i = 0; i < 3; i++)
		buf_init(&h[i], 0);
	buf_init(&wrong, 0);
	make_note(signer, 2100, &x->root[2100], &h[0]);
	make_note(signer, 1000, &x->root[1000], &h[1]);
	make_note(signer, ENTRIES, &x->root[ENTRIES], &h[2]);
	make_note(other_signer, 1000, &x->root[1000], &wrong);
	assert_int_equal(note_signer_key(signer, ORIGIN, &key, NULL), RC_OK);
	assert_int_equal(note_signer_key(other_signer, ORIGIN, &other_key, NULL), RC_OK);

	struct verify_result r = verify_with(x, &key, h, 3);
	assert_int_equal(r.kind, VERIFY_GOOD);
	assert_int_equal(r.heads_earlier, 3);
	assert_int_equal(r.known, ENTRIES);
	/* Written anew by whoever holds the key: nothing shows without an earlier head, with one everything does. */
	assert_int_equal(verify(forked).kind, VERIFY_GOOD);
	r = verify_with(forked, NULL, h, 1);
	assert_int_equal(r.kind, VERIFY_REWRITE);
	r = verify_with(forked, NULL, h, 2);
	assert_int_equal(r.kind, VERIFY_FORK);
	assert_int_equal(r.first, 1000);
	r = verify_with(forked, NULL, &h[2], 1);
	assert_int_equal(r.kind, VERIFY_REWRITE);
	/* Shorter than it was. */
	r = verify_with(longer, NULL, h, 1);
	assert_int_equal(r.kind, VERIFY_TRUNCATION);
	assert_int_equal(r.first, 2000);
	/* Another key. */
	assert_int_equal(verify_with(other, NULL, h, 1).kind, VERIFY_REWRITE);
	assert_int_equal(verify_with(other, &key, NULL, 0).kind, VERIFY_REWRITE);
	assert_int_equal(verify_with(x, &other_key, NULL, 0).kind, VERIFY_REWRITE);
	assert_int_equal(verify_with(x, &key, &wrong, 1).kind, VERIFY_UNCLEAR);
	for (int i = 0; i < 3; i++)
		buf_done(&h[i]);
	buf_done(&wrong);
	free_export(x);
	free_export(forked);
	free_export(other);
	free_export(longer);
}

/* An export from entry 700 on: the hashes of what was before stand in its header. */
static void
later_parts(void **state)
{
	struct export *x = make_export(signer, ENTRIES, ENTRIES, false);
	struct merkle_frontier f = {0};
	struct note_key k;
	struct buf b, key, note, h[2];
	for (int i = 0; i < 700; i++)
		merkle_frontier_add(&f, &x->leaf[i]);
	buf_init(&b, 0);
	buf_init(&key, 0);
	buf_init(&note, 0);
	buf_init(&h[0], 0);
	buf_init(&h[1], 0);
	assert_int_equal(note_signer_key(signer, ORIGIN, &k, NULL), RC_OK);
	note_key_format(&k, &key);
	make_note(signer, ENTRIES, &x->root[ENTRIES], &note);
	line_write_header(&b, &tenant, ENTRIES, buf_bytes(&key), buf_bytes(&note), (struct bytes){0}, &f);
	for (int i = 0; i < 700; i++)
		drop(x, 1);
	free(x->lines[0]);
	x->lines[0] = strndup((const char *)b.p, b.n - 1);
	struct verify_result r = verify(x);
	assert_int_equal(r.kind, VERIFY_GOOD);
	assert_int_equal(r.entries, ENTRIES - 700);
	make_note(signer, 700, &x->root[700], &h[0]);
	make_note(signer, 300, &x->root[300], &h[1]);
	assert_int_equal(verify_with(x, NULL, h, 2).kind, VERIFY_GOOD);
	assert_int_equal(verify_with(x, NULL, h, 1).known, 700);
	assert_int_equal(verify_with(x, NULL, &h[1], 1).kind, VERIFY_UNCLEAR); /* before what is here */
	buf_reset(&h[0]);
	make_note(signer, 700, &x->root[701], &h[0]);
	assert_int_equal(verify_with(x, NULL, h, 1).kind, VERIFY_REWRITE);
	drop(x, 1);
	r = verify(x);
	assert_int_equal(r.kind, VERIFY_DELETION);
	assert_int_equal(r.first, 700);
	renumber(x);
	assert_int_not_equal(verify(x).kind, VERIFY_GOOD);
	free_export(x);
	buf_done(&b);
	buf_done(&key);
	buf_done(&note);
	buf_done(&h[0]);
	buf_done(&h[1]);
}

/* --- notes -------------------------------------------------------------------------------------------------------- */
static void
notes(void **state)
{
	struct note_head h = {.origin = ORIGIN, .size = 42}, back;
	struct note_key k, again;
	enum note_trust trust;
	struct buf note, text;
	struct err e;
	buf_init(&note, 0);
	buf_init(&text, 0);
	merkle_empty(&h.root);
	assert_int_equal(note_sign(signer, &h, &note, &e), RC_OK);
	assert_int_equal(note_parse(buf_bytes(&note), &back, &e), RC_OK);
	assert_string_equal(back.origin, ORIGIN);
	assert_int_equal(back.size, 42);
	assert_true(merkle_eq(&back.root, &h.root));
	assert_int_equal(note_signer_key(signer, ORIGIN, &k, &e), RC_OK);
	note_key_format(&k, &text);
	assert_int_equal(note_key_parse(buf_bytes(&text), &again, &e), RC_OK);
	assert_memory_equal(&k, &again, sizeof(k));
	assert_int_equal(note_check(buf_bytes(&note), &k, &trust, &e), RC_OK);
	assert_int_equal(trust, NOTE_GOOD);
	/* Any octet changed: not a note, another key's, or forged; never good. */
	for (size_t i = 0; i < note.n; i++) {
		note.p[i] ^= 1;
		if (note_check(buf_bytes(&note), &k, &trust, &e) == RC_OK)
			assert_int_not_equal(trust, NOTE_GOOD);
		note.p[i] ^= 1;
	}
	for (size_t i = 0; i < note.n; i++) /* cut anywhere */
		assert_int_not_equal(note_check(bytes_of(note.p, i), &k, &trust, &e), RC_OK);
	for (size_t i = 0; i < text.n; i++) {
		text.p[i] ^= 2;
		if (note_key_parse(buf_bytes(&text), &again, &e) == RC_OK)
			assert_memory_not_equal(&k, &again, sizeof(k));
		text.p[i] ^= 2;
	}
	buf_done(&note);
	buf_done(&text);
}

static void
records(void **state)
{
	struct arena *a = arena_new();
	struct buf b, again;
	struct record_entry r = {.at_us = INT64_C(1795316645678901),
				 .service = "auth",
				 .action = "key.created",
				 .outcome = "ok",
				 .actor = bytes_of("a\"\\\n\xff\xe3\x81\x82", 8),
				 .source = bytes_str("2001:db8::1"),
				 .number = -1,
				 .detail = bytes_str("{ \"b\": [1, 2.5, null], \"a\": \"\xe9\x96\xa2\" }"),
				 .trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			    back;
	buf_init(&b, 0);
	buf_init(&again, 0);
	record_entry_write(&r, &b);
	assert_int_equal(record_entry_parse(buf_bytes(&b), a, &back, NULL), RC_OK);
	assert_int_equal(back.at_us, r.at_us);
	assert_string_equal((const char *)back.detail.p, "{\"a\":\"\xe9\x96\xa2\",\"b\":[1,2.5,null]}");
	assert_null(memchr(b.p, '\n', b.n));
	/* Read and written again it is the same. */
	record_entry_write(&back, &again);
	assert_int_equal(b.n, again.n);
	assert_memory_equal(b.p, again.p, b.n);
	assert_int_equal(record_entry_parse(bytes_of(b.p, b.n - 1), a, &back, NULL), RC_INVALID);
	buf_done(&b);
	buf_done(&again);
	arena_free(&a);
}

static int
setup(void **state)
{
	signer = signer_of(pem);
	other_signer = signer_of(other_pem);
	return 0;
}

static int
teardown(void **state)
{
	note_signer_free(&signer);
	note_signer_free(&other_signer);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(notes),	      cmocka_unit_test(records),
	    cmocka_unit_test(no_false_alarm), cmocka_unit_test(manipulations_are_found),
	    cmocka_unit_test(earlier_heads),  cmocka_unit_test(later_parts),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
