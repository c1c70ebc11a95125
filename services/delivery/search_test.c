/* SPDX-License-Identifier: MIT
 *
 * What search compares, what a block holds, and that an index never loses a message that a scan finds: random texts,
 * segments, merges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "search_segment.h"

static const struct search_key key = {{1, 2, 3}};

/* --- words ----------------------------------------------------------------------------------------------------- */
static void
words(void **state)
{
	static const struct {
		const char *text, *query;
		bool found;
	} table[] = {
	    {"東京都庁の件", "京都", true}, /* found anywhere: that is what bigrams do */
	    {"東京都庁の件", "東京 都庁", true},
	    {"東京都庁の件", "大阪", false},
	    {"東京都と京都府", "東京府", false}, /* 東京 and 京府 are not enough */
	    {"見積書を送付します", "見積", true},
	    {"見積\r\n書を送付します", "見積書", true}, /* wrapped */
	    {"ﾐﾂﾓﾘ", "みつもり", true},			/* width and kana form */
	    {"みつもり", "ミツモリ", true},
	    {"ガ", "が", false}, /* never compared: too short, see below */
	    {"森の件", "森", true},
	    {"森林", "森", true},
	    {"林", "森", false},
	    {"Sales report", "sales", true},
	    {"Sales report", "SALES", true},
	    {"Sales report", "ｓａｌｅｓ", true},
	    {"wholesales", "sales", false},
	    {"salesman", "sales", false},
	    {"sales", "salesman", false},
	    {"sales報告", "sales", true},
	    {"報告sales", "sales 報告", true},
	    {"one two three", "\"two three\"", true},
	    {"one two three", "\"one three\"", false},
	    {"one two three", "three one", true},
	    {"one two three", "“one two”", true},
	    {"one\r\n two", "\"one two\"", true},
	    {"tanaka@example.co.jp", "example.co.jp", true},
	    {"tanaka@example.co.jp", "tanaka@example.co.jp", true},
	    {"tanaka@example.co.jp", "tanaka", true},
	    {"tanaka@example.co.jp", "ample.co.jp", false},
	    {"tanaka@example.com, co.jp", "example.co.jp", false},
	    {"INV-2024-001", "inv-2024-001", true},
	    {"INV-2024-0011", "inv-2024-001", false},
	    {"c++ と c", "c++", true},
	    {"a.b", "a.b", true},
	    {"a. b", "a.b", false},
	    {"価格は１０００円", "1000円", true},
	    {"서울 회의", "회의", true},
	    {"서울회의실", "회의", true},
	    {"ประชุมกรุงเทพ", "กรุงเทพ", true},
	    {"Straße", "STRASSE", true},
	    {"données", "donne", false},
	    {"aab ab", "ab", true}, /* after a place that fails */
	    {"aba ab", "ab", true},
	    {"ab-aba ab-ab", "ab-ab", true},
	    {"xa a a", "\"a a\"", true},
	    {"a a ab a a", "\"a a a\"", false},
	    {"京ab 京a", "京a", true},
	    {"a京ab京a", "京a", true},
	    {"@@ab@a", "@a", true},
	    {"x", "x - !", true}, /* a word without letters counts for nothing */
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct search_query q;
		struct err e = {0};
		enum rc rc = search_query_parse(a, table[i].query, &q, &e);
		if (rc == RC_INVALID && !table[i].found)
			continue;
		assert_int_equal(rc, RC_OK);
		struct facts f = {.subject = "", .text = table[i].text};
		struct search_message m = {.facts = &f};
		if (search_query_matches(&q, search_document(a, &m)) != table[i].found)
			fail_msg("\"%s\" in \"%s\"", table[i].query, table[i].text);
	}
	arena_free(&a);
}

/* In place of libc's: it counts. */
static size_t looks;
void *
memmem(const void *in, size_t n, const void *what, size_t k)
{
	const uint8_t *p = in;
	looks++;
	for (size_t i = 0; i + k <= n; i++)
		if (p[i] == *(const uint8_t *)what && memcmp(p + i, what, k) == 0)
			return (void *)(uintptr_t)(p + i);
	return NULL;
}

/* A mail made to be slow: each octet of it begins the word that is asked for, and none is it. */
static void
long_words(void **state)
{
	static const char *const queries[] = {"aa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "京a", "aa京"};
	struct arena *a = arena_new();
	size_t n = SEARCH_BODY_MAX - 8;
	char *text = arena_alloc(a, n + 1);
	memset(text, 'a', n);
	text[n] = '\0';
	memcpy(text, "京", strlen("京"));
	memcpy(text + n - 3, "京", strlen("京"));
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct search_query q;
		struct err e = {0};
		struct facts f = {.subject = "", .text = text};
		struct search_message m = {.facts = &f};
		assert_int_equal(search_query_parse(a, queries[i], &q, &e), RC_OK);
		struct bytes doc = search_document(a, &m);
		looks = 0;
		assert_false(search_query_matches(&q, doc));
		assert_in_range(looks, 1, 3);
	}
	arena_free(&a);
}

static void
bad_queries(void **state)
{
	static const char *const bad[] = {
	    "", " \t\u3000", "\"\"", "\"", "- !", "か", "か き", "\xff", "a b c d e f g h i j k l m n o p q"};
	struct arena *a = arena_new();
	struct search_query q;
	struct err e;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (search_query_parse(a, bad[i], &q, &e) != RC_INVALID || strncmp(e.text, "query: ", 7) != 0)
			fail_msg("\"%s\"", bad[i]);
	char *s = arena_alloc(a, SEARCH_QUERY_MAX + 2);
	memset(s, 'a', SEARCH_QUERY_MAX + 1);
	assert_int_equal(search_query_parse(a, s, &q, &e), RC_INVALID);
	s[SEARCH_QUERY_MAX] = 0;
	assert_int_equal(search_query_parse(a, s, &q, &e), RC_OK);
	assert_int_equal(search_query_parse(a, "\"open end", &q, &e), RC_OK);
	assert_int_equal(q.n, 1);
	assert_int_equal(search_query_parse(a, "か 森", &q, &e), RC_OK); /* one that can be looked up is enough */
	assert_int_equal(q.n, 2);
	arena_free(&a);
}

static void
fields(void **state)
{
	struct facts_address from = {"田中 太郎", "tanaka@a.example"}, to = {"", "to@b.example"};
	struct facts_attachment file = {.name = "見積書.pdf"};
	struct facts f = {.subject = "件名",
			  .from = {&from, 1},
			  .to = {&to, 1},
			  .text = "本文",
			  .attachments = &file,
			  .n_attachments = 1};
	struct bytes recipients[] = {bytes_str("hidden@c.example"), bytes_str("b2@d.example")};
	struct search_message m = {bytes_str("bounce@e.example"), recipients, 2, &f};
	static const char *const in[] = {
	    "件名", "田中太郎",		"tanaka@a.example", "b.example", "hidden@c.example",
	    "b2",   "bounce@e.example", "見積書.pdf",	    "pdf",	 "本文"};
	static const char *const out[] = {"件名田中", "\"tanaka@a.example to\"", "本文件名", "名田"};
	struct arena *a = arena_new();
	struct bytes doc = search_document(a, &m);
	struct search_query q;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		assert_int_equal(search_query_parse(a, in[i], &q, NULL), RC_OK);
		if (!search_query_matches(&q, doc))
			fail_msg("%s is not found", in[i]);
	}
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		assert_int_equal(search_query_parse(a, out[i], &q, NULL), RC_OK);
		if (search_query_matches(&q, doc))
			fail_msg("%s reaches over fields", out[i]);
	}
	m.facts = NULL;
	doc = search_document(a, &m);
	assert_int_equal(search_query_parse(a, "hidden@c.example", &q, NULL), RC_OK);
	assert_true(search_query_matches(&q, doc));
	arena_free(&a);
}

static void
bounds(void **state)
{
	size_t n = 512 * 1024;
	char *text = malloc(n + 1);
	for (size_t i = 0; i + 3 <= n; i += 3)
		memcpy(text + i, "漢", 3);
	text[n / 3 * 3] = 0;
	struct facts f = {.subject = text, .text = text};
	struct search_message m = {.facts = &f};
	struct arena *a = arena_new();
	struct bytes doc = search_document(a, &m);
	assert_in_range(doc.n, SEARCH_BODY_MAX + SEARCH_HEAD_MAX - 8, SEARCH_BODY_MAX + SEARCH_HEAD_MAX + 1);
	struct bytes again = search_normal(a, doc);
	assert_null(memmem(again.p, again.n, "\xef\xbf\xbd", 3)); /* no character was cut */
	arena_free(&a);
	free(text);
}

/* --- blocks ---------------------------------------------------------------------------------------------------- */
static uint64_t seed = 88172645463325252;
static uint64_t
roll(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static void
block_round_trip(void **state)
{
	enum { MESSAGES = 5000, TOKENS = 200 };
	static uint32_t lists[TOKENS][MESSAGES];
	size_t n[TOKENS];
	uint64_t hash[TOKENS], last = 0;
	struct buf b;
	buf_init(&b, 0);
	for (size_t t = 0; t < TOKENS; t++) {
		n[t] = 0;
		uint64_t rarity = t < 3 ? 1 : 1 + roll(t % 5 == 0 ? 4 : 3000);
		for (uint32_t m = 0; m < MESSAGES; m++)
			if (roll(rarity) == 0)
				lists[t][n[t]++] = m;
		if (n[t] == 0)
			lists[t][n[t]++] = (uint32_t)roll(MESSAGES);
		hash[t] = last + 1 + roll(t % 2 != 0 ? 5 : UINT64_MAX / TOKENS / 2);
		search_block_add(&b, &last, hash[t], lists[t], n[t]);
		assert_int_equal(last, hash[t]);
	}
	for (size_t t = 0; t < TOKENS; t++) {
		struct search_postings p;
		uint32_t got[MESSAGES];
		uint64_t bits[(MESSAGES + 63) / 64] = {0};
		struct err e;
		assert_int_equal(search_block_find(buf_bytes(&b), MESSAGES, hash[t], &p, &e), RC_OK);
		assert_int_equal(p.count, n[t]);
		assert_int_equal(search_postings_list(&p, MESSAGES, got, &e), RC_OK);
		assert_memory_equal(got, lists[t], n[t] * sizeof(got[0]));
		assert_int_equal(search_postings_mark(&p, MESSAGES, bits, &e), RC_OK);
		for (size_t i = 0; i < n[t]; i++)
			assert_true(bits[got[i] / 64] >> got[i] % 64 & 1);
		/* The same for fewer messages than it has is no block. */
		assert_int_equal(search_postings_mark(&p, got[n[t] - 1], bits, &e), RC_INVALID);
		assert_int_equal(search_block_find(buf_bytes(&b), MESSAGES, hash[t] + 7, &p, &e),
				 t + 1 < TOKENS && hash[t + 1] == hash[t] + 7 ? RC_OK : RC_NOT_FOUND);
	}
	buf_done(&b);
}

static void
broken_blocks(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
	} table[] = {
	    {"\x00\x02\x00", 3},						  /* hash 0 */
	    {"\x01", 1},							  /* ends */
	    {"\x01\x02", 2},							  /* no ordinal */
	    {"\x01\x02\x64", 3},						  /* ordinal 100 of 100 */
	    {"\x01\x00", 2},							  /* count 0 */
	    {"\x01\x03\x00", 3},						  /* one message, dense */
	    {"\x01\x04\x02\x00", 4},						  /* list ends early */
	    {"\x01\x04\x02\x05\x00", 5},					  /* the same twice */
	    {"\x01\x04\x02\x63\x01", 5},					  /* 99 + 1 */
	    {"\x01\x04\x03\x05\x01\x01", 6},					  /* more than it says */
	    {"\x01\x05\x02\x00\x01", 5},					  /* fewer bits than it says */
	    {"\x01\x05\x02\x00\x07", 5},					  /* more bits */
	    {"\x01\x05\x02\x0c\x30", 5},					  /* bit 100 */
	    {"\x01\x05\x02\x0d\x03", 5},					  /* octet 13 of 13 */
	    {"\x81\x00\x02\x00", 4},						  /* longer than needed */
	    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x02\x00", 12},		  /* over 64 bits */
	    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x00\x01\x02\x00", 15}, /* hash goes round */
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct search_block b;
		struct search_postings p;
		struct err e;
		uint32_t list[100];
		uint64_t bits[2] = {0};
		enum rc rc = RC_OK;
		search_block_begin(&b, bytes_of(table[i].octets, table[i].n), 100);
		while (rc == RC_OK) {
			rc = search_block_next(&b, &p, &e);
			if (rc != RC_OK)
				break;
			rc = search_postings_list(&p, 100, list, &e);
			assert_int_equal(search_postings_mark(&p, 100, bits, &e), rc);
		}
		if (rc != RC_INVALID)
			fail_msg("block %zu is taken for one", i);
	}
}

/* --- segments -------------------------------------------------------------------------------------------------- */
#define DOCS   1600
#define PARTS  16
#define BLOCKS 64

struct segment {
	struct bytes blocks[BLOCKS];
	size_t n; /* how many, in order */
	uint32_t bucket[BLOCKS];
	struct arena *a;
};

static enum rc
take(void *ctx, uint32_t bucket, struct bytes block, struct err *e)
{
	struct segment *s = ctx;
	assert_true(s->n == 0 || s->bucket[s->n - 1] < bucket);
	assert_in_range(s->n, 0, BLOCKS - 1);
	s->bucket[s->n] = bucket;
	s->blocks[s->n++] = arena_bytes(s->a, block);
	return RC_OK;
}

static struct bytes
random_document(struct arena *a)
{
	static const char *const some[] = {"東", "京",	"都",  "見",  "積", "の", "に",
					   " ",	 " ab", "cd ", "x.y", "1",  "。", "ー"};
	struct buf b;
	buf_init(&b, 0);
	for (size_t n = 5 + roll(60); n > 0; n--)
		buf_add_str(&b, some[roll(sizeof(some) / sizeof(some[0]))]);
	struct bytes out = search_normal(a, buf_bytes(&b));
	buf_done(&b);
	return out;
}

/* Messages of the segment that have all tokens. */
static void
lookup(const struct segment *s, int bits, uint32_t messages, const struct search_set *t, bool *has)
{
	for (uint32_t m = 0; m < messages; m++)
		has[m] = true;
	for (size_t i = 0; i < t->n; i++) {
		bool here[DOCS] = {false};
		struct search_postings p;
		struct err e;
		uint32_t list[DOCS];
		for (size_t k = 0; k < s->n; k++) {
			if (s->bucket[k] != search_bucket(t->v[i], bits))
				continue;
			enum rc rc = search_block_find(s->blocks[k], messages, t->v[i], &p, &e);
			if (rc == RC_NOT_FOUND)
				break;
			assert_int_equal(rc, RC_OK);
			assert_int_equal(search_postings_list(&p, messages, list, &e), RC_OK);
			for (uint32_t m = 0; m < p.count; m++)
				here[list[m]] = true;
		}
		for (uint32_t m = 0; m < messages; m++)
			has[m] &= here[m];
	}
}

/* Every hit of a scan is a candidate; in scripts where tokens are words, nothing else is. */
static void
check_segment(const struct segment *s, int bits, const struct bytes *docs, uint32_t n, struct arena *a)
{
	static const char *const queries[] = {"東京都", "東京", "都", "見積の", "ab",
					      "abcd",	"x.y",	"1",  "cd ab",	"東京 cd"};
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct search_query q;
		struct search_set t;
		bool has[DOCS];
		size_t hits = 0, candidates = 0;
		assert_int_equal(search_query_parse(a, queries[i], &q, NULL), RC_OK);
		search_set_init(&t);
		for (size_t k = 0; k < q.n; k++)
			search_tokens_term(&key, q.terms[k], &t);
		lookup(s, bits, n, &t, has);
		for (uint32_t m = 0; m < n; m++) {
			bool hit = search_query_matches(&q, docs[m]);
			hits += hit;
			candidates += has[m];
			if (hit && !has[m])
				fail_msg("%s: message %u is lost", queries[i], m);
		}
		assert_true(candidates == hits || strcmp(queries[i], "東京都") == 0 ||
			    strcmp(queries[i], "見積の") == 0);
		search_set_done(&t);
	}
}

static void
segments_and_merges(void **state)
{
	static struct bytes docs[DOCS], sorted[DOCS];
	static struct segment parts[PARTS], merged;
	static struct uuid ids[PARTS][DOCS];
	const struct uuid *all[PARTS];
	uint32_t counts[PARTS] = {0};
	int bits[PARTS];
	struct search_input in[PARTS];
	struct arena *a = arena_new();
	struct search_builder *b[PARTS];
	struct search_set set;
	struct err e;
	search_set_init(&set);
	for (size_t i = 0; i < PARTS; i++)
		b[i] = search_builder_new();
	for (uint32_t m = 0; m < DOCS; m++) { /* parts overlap in time */
		size_t i = roll(PARTS);
		docs[m] = random_document(a);
		search_set_reset(&set);
		search_tokens_document(&key, docs[m], &set);
		search_builder_add(b[i], counts[i], &set);
		ids[i][counts[i]] = (struct uuid){{0}};
		ids[i][counts[i]].b[0] = (uint8_t)(m >> 8);
		ids[i][counts[i]++].b[1] = (uint8_t)m;
	}
	for (size_t i = 0; i < PARTS; i++) {
		parts[i].a = a;
		search_builder_sort(b[i], &bits[i]);
		bits[i] = (int)(i % 4); /* more and fewer buckets than the result has */
		assert_int_equal(search_builder_emit(b[i], bits[i], take, &parts[i], &e), RC_OK);
		for (uint32_t k = 0; k < counts[i]; k++)
			sorted[k] = docs[ids[i][k].b[0] << 8 | ids[i][k].b[1]];
		check_segment(&parts[i], bits[i], sorted, counts[i], a);
		all[i] = ids[i];
		search_builder_free(&b[i]);
	}
	struct search_order order;
	assert_int_equal(search_order_make(a, all, counts, PARTS, &order, &e), RC_OK);
	assert_int_equal(order.n, DOCS);
	merged.a = a;
	for (uint32_t r = 0; r < 4; r++) {
		struct search_range range = {r, 2};
		for (size_t i = 0; i < PARTS; i++)
			in[i] = (struct search_input){order.maps[i], counts[i], parts[i].blocks, parts[i].n};
		assert_int_equal(search_merge(in, PARTS, &range, DOCS, 3, take, &merged, &e), RC_OK);
	}
	check_segment(&merged, 3, docs, DOCS, a);
	search_set_done(&set);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words),	     cmocka_unit_test(long_words),
	    cmocka_unit_test(bad_queries),   cmocka_unit_test(fields),
	    cmocka_unit_test(bounds),	     cmocka_unit_test(block_round_trip),
	    cmocka_unit_test(broken_blocks), cmocka_unit_test(segments_and_merges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
