/* SPDX-License-Identifier: MIT
 *
 * The mails. Vocabulary: compounds of a few hundred ideographs, katakana words, English-like words; between them
 * particles, punctuation, numbers and addresses.
 */
#include "search_testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "mail/facts.h"

#define WORDS	   40000 /* of each language */
#define PEOPLE	   3000
#define WORD_SIZE  24
#define IDEOGRAPHS 1200
#define COMMIT_MS  60000

struct search_corpus {
	size_t median;
	char japanese[WORDS][WORD_SIZE], english[WORDS][WORD_SIZE];
};

struct dice {
	uint64_t x;
};

static uint64_t
roll(struct dice *d, uint64_t n)
{
	/* splitmix64 */
	uint64_t z = d->x += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % n;
}

/* Rank r about as often as 1 / (r + 1). */
static size_t
zipf(struct dice *d, size_t n)
{
	double u = (double)roll(d, UINT64_C(1) << 53) / (double)(UINT64_C(1) << 53);
	size_t rank = (size_t)(pow((double)n + 1, u) - 1);
	return rank < n ? rank : n - 1;
}

static size_t
put_char(char *p, uint32_t c)
{
	p[0] = (char)(0xe0 | c >> 12);
	p[1] = (char)(0x80 | (c >> 6 & 0x3f));
	p[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

static void
make_japanese(struct dice *d, char out[WORD_SIZE])
{
	size_t at = 0, n = 2 + roll(d, 3);
	bool katakana = roll(d, 4) == 0;
	for (size_t i = 0; i < n + katakana; i++)
		at += put_char(out + at, katakana ? 0x30a2 + (uint32_t)roll(d, 80)
						  : 0x4e00 + (uint32_t)(zipf(d, IDEOGRAPHS) * 7 % 0x51a0));
	out[at] = 0;
}

static void
make_english(struct dice *d, char out[WORD_SIZE])
{
	static const char *const heads[] = {"b", "c", "d", "f", "g", "l",  "m",	 "n",
					    "p", "r", "s", "t", "v", "st", "tr", "pl"};
	static const char *const tails[] = {"a", "e", "i", "o", "u", "an", "er", "in", "on", "al", "ea", "or", "is"};
	size_t at = 0;
	for (size_t n = 1 + roll(d, 4); n > 0; n--)
		at += (size_t)snprintf(out + at, WORD_SIZE - at, "%s%s", heads[roll(d, 16)], tails[roll(d, 13)]);
}

struct search_corpus *
search_corpus_new(size_t median)
{
	struct search_corpus *c = calloc(1, sizeof(*c));
	struct dice d = {7};
	if (c == NULL)
		abort();
	c->median = median;
	for (size_t i = 0; i < WORDS; i++) {
		make_japanese(&d, c->japanese[i]);
		make_english(&d, c->english[i]);
	}
	return c;
}

void
search_corpus_free(struct search_corpus **c)
{
	free(*c);
	*c = NULL;
}

struct bytes
search_corpus_word(const struct search_corpus *c, bool english, size_t rank)
{
	return bytes_str(english ? c->english[rank % WORDS] : c->japanese[rank % WORDS]);
}

/* --- text ------------------------------------------------------------------------------------------------------ */
static void
japanese(const struct search_corpus *c, struct dice *d, struct buf *b, size_t words)
{
	static const char *const between[] = {"の", "を",	"に",	"は",	"が",	"と",
					      "で", "について", "から", "まで", "した", "する"};
	static const char *const ends[] = {"です。",	 "ます。",	 "ました。",
					   "ください。", "でしょうか。", "いたします。\n"};
	for (size_t i = 0; i < words; i++) {
		buf_add_str(b, c->japanese[zipf(d, WORDS)]);
		if (roll(d, 12) == 0)
			buf_addf(b, "%u", (unsigned)roll(d, 10000));
		buf_add_str(b, roll(d, 7) == 0 ? ends[roll(d, 6)] : between[roll(d, 12)]);
	}
}

static void
english(const struct search_corpus *c, struct dice *d, struct buf *b, size_t words)
{
	for (size_t i = 0; i < words; i++) {
		buf_add_str(b, c->english[zipf(d, WORDS)]);
		buf_add_str(b, roll(d, 9) == 0 ? ". " : roll(d, 60) == 0 ? "\n" : " ");
	}
}

static char *
person(struct dice *d, struct arena *a)
{
	size_t n = zipf(d, PEOPLE);
	return arena_printf(a, "person%zu@team%zu.example%s", n, n % 97, n % 3 == 0 ? ".jp" : "");
}

static char *
finish(struct buf *b, struct arena *a)
{
	char *s = arena_strndup(a, b->p, b->n);
	buf_done(b);
	return s;
}

static char *
text_of(const struct search_corpus *c, uint64_t n, struct dice *d, struct arena *a)
{
	struct buf b;
	buf_init(&b, 0);
	size_t characters = c->median / 5 + c->median * (1 + roll(d, 100)) / (4 + roll(d, 100)) % (5 * c->median);
	buf_add_str(&b, CORPUS_GREETING "。\n");
	if (n % 1000 == 500)
		buf_add_str(&b, CORPUS_SELDOM "の件です。\n");
	if (n % 100000 == 777)
		buf_add_str(&b, CORPUS_RARE "から届きました。\n");
	if (roll(d, 5) == 0)
		english(c, d, &b, characters / 6);
	else
		japanese(c, d, &b, characters / 5);
	buf_addf(&b, "\n-- \n%s\nTel: 03-%04u-%04u\n", person(d, a), (unsigned)roll(d, 10000),
		 (unsigned)roll(d, 10000));
	return finish(&b, a);
}

static struct facts_addresses
address(char *addr, struct arena *a)
{
	struct facts_address *v = arena_new_array(a, struct facts_address, 1);
	*v = (struct facts_address){"", addr};
	return (struct facts_addresses){v, 1};
}

void
search_corpus_message(const struct search_corpus *c, uint64_t n, int64_t accepted_us, struct arena *a,
		      struct store_arrival *v, struct facts *f)
{
	struct dice d = {n * 77 + 5};
	struct buf subject;
	char *from = person(&d, a), *to = person(&d, a);
	buf_init(&subject, 0);
	japanese(c, &d, &subject, 2 + roll(&d, 4));
	*f = (struct facts){.verdict = FACTS_CLEAN,
			    .signature = "",
			    .reason = "",
			    .scanner = "",
			    .message_id = "",
			    .subject = finish(&subject, a),
			    .from = address(from, a),
			    .to = address(to, a),
			    .text = text_of(c, n, &d, a)};
	f->size = strlen(f->text) + 500;
	if (n % 8 == 3) {
		f->attachments = arena_new_array(a, struct facts_attachment, 1);
		f->n_attachments = 1;
		f->parts = arena_new_array(a, struct facts_part, 1);
		f->n_parts = 1;
		f->parts[0] = (struct facts_part){.parent = -1,
						  .header_length = 100,
						  .body_offset = 100,
						  .body_length = f->size - 100,
						  .content_type = "application/pdf",
						  .charset = "",
						  .encoding = "",
						  .disposition = "",
						  .content_id = ""};
		f->attachments[0] = (struct facts_attachment){
		    .name = arena_printf(a, "%s-%u.pdf", c->japanese[zipf(&d, WORDS)], (unsigned)roll(&d, 1000)),
		    .declared_type = "application/pdf",
		    .detected_type = "application/pdf",
		};
	}
	struct store_leg *leg = arena_new_array(a, struct store_leg, 1);
	*leg = (struct store_leg){.state = LEG_QUEUED,
				  .cause = "envelope",
				  .notify = "",
				  .tls = "",
				  .due_us = DB_TIME_NULL,
				  .final_us = DB_TIME_NULL,
				  .address = bytes_str(to),
				  .domain = bytes_str(strchr(to, '@') + 1)};
	*v = (struct store_arrival){.legs = leg, .n_legs = 1};
	v->message = (struct store_message){.id = uuid_v7(accepted_us),
					    .accepted_us = accepted_us,
					    .direction = n % 3 == 0 ? STORE_INCOMING : STORE_OUTGOING,
					    .mail_from = bytes_str(from),
					    .size = f->size,
					    .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
					    .ret = ""};
}

enum rc
search_corpus_store(struct db_pool *pool, struct content *content, const struct uuid *tenant, struct store_arrival *v,
		    const struct facts *facts, size_t n, struct arena *a, struct err *e)
{
	struct db_tx *tx = NULL;
	struct buf encoded;
	buf_init(&encoded, 0);
	/* The tenant's key first: making it takes a connection of its own. */
	int32_t epoch = 0;
	uint8_t key[CRYPT_KEY_SIZE];
	enum rc rc = content_derive_key(content, tenant, &epoch, "sekisho test", key, e);
	if (rc == RC_OK)
		rc = db_begin(pool, tenant, clock_mono_ms() + COMMIT_MS, &tx, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		buf_reset(&encoded);
		rc = facts_encode(&facts[i], &encoded, e);
		struct content_item item = {CONTENT_FACTS, buf_bytes(&encoded)};
		if (rc == RC_OK)
			rc = content_put(content, tx, tenant, &v[i].message.id, &item, 1, e);
	}
	if (rc == RC_OK)
		rc = store_arrive_messages(tx, tenant, v, n, a, e);
	if (rc == RC_OK)
		rc = store_arrive_legs(tx, tenant, v, n, NULL, DB_TIME_NULL, a, e);
	if (rc == RC_OK)
		rc = db_commit(&tx, e);
	db_end(&tx);
	buf_done(&encoded);
	return rc;
}
