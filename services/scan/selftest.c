/* SPDX-License-Identifier: MIT
 *
 * The zips are written here, deflated with fixed Huffman codes (RFC 1951 3.2.6) and no matches, so that no octet of the
 * test file is in clear and the scanner has to unpack twice, through its temp folder.
 */
#include "selftest.h"

#include <stdlib.h>

#include "inspect.h"

struct selftest {
	struct buf eicar, mail;
};

/* --- deflate and zip ------------------------------------------------------------------------------------ */

struct bit_writer {
	struct buf *out;
	uint32_t bits;
	unsigned n;
};

static void
put_bits(struct bit_writer *w, uint32_t value, unsigned n)
{
	w->bits |= value << w->n;
	w->n += n;
	while (w->n >= 8) {
		uint8_t c = (uint8_t)w->bits;
		buf_add(w->out, &c, 1);
		w->bits >>= 8;
		w->n -= 8;
	}
}

/* Huffman codes go out with their highest bit first. */
static void
put_code(struct bit_writer *w, uint32_t code, unsigned n)
{
	for (unsigned i = n; i-- > 0;)
		put_bits(w, code >> i & 1, 1);
}

static void
deflate_fixed(struct buf *out, struct bytes b)
{
	struct bit_writer w = {.out = out};
	put_bits(&w, 1, 1); /* the last block */
	put_bits(&w, 1, 2); /* of fixed codes */
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] < 144)
			put_code(&w, 0x30u + b.p[i], 8);
		else
			put_code(&w, 0x190u + b.p[i] - 144, 9);
	}
	put_code(&w, 0, 7);
	put_bits(&w, 0, 7);
}

static uint32_t
crc32_of(struct bytes b)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < b.n; i++) {
		crc ^= b.p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (0xedb88320 & (0u - (crc & 1)));
	}
	return ~crc;
}

static void
put_le(struct buf *out, uint64_t v, int octets)
{
	for (int i = 0; i < octets; i++) {
		uint8_t c = (uint8_t)(v >> (8 * i));
		buf_add(out, &c, 1);
	}
}

/* The fields that local and central headers share, from "version needed" to "extra length". */
static void
put_common(struct buf *out, uint32_t crc, uint32_t packed, uint32_t size, uint32_t name)
{
	put_le(out, 20, 2);
	put_le(out, 0, 2);
	put_le(out, 8, 2);
	put_le(out, 0, 4);
	put_le(out, crc, 4);
	put_le(out, packed, 4);
	put_le(out, size, 4);
	put_le(out, name, 2);
	put_le(out, 0, 2);
}

static void
put_zip(struct buf *out, const char *name, struct bytes content)
{
	struct buf packed;
	buf_init(&packed, 0);
	deflate_fixed(&packed, content);
	uint32_t crc = crc32_of(content), n = (uint32_t)strlen(name);
	put_le(out, 0x04034b50, 4);
	put_common(out, crc, (uint32_t)packed.n, (uint32_t)content.n, n);
	buf_add_str(out, name);
	buf_add_bytes(out, buf_bytes(&packed));
	uint32_t directory = (uint32_t)out->n;
	put_le(out, 0x02014b50, 4);
	put_le(out, 20, 2);
	put_common(out, crc, (uint32_t)packed.n, (uint32_t)content.n, n);
	put_le(out, 0, 2 + 2 + 2);
	put_le(out, 0, 4 + 4);
	buf_add_str(out, name);
	uint32_t end = (uint32_t)out->n;
	put_le(out, 0x06054b50, 4);
	put_le(out, 0, 4);
	put_le(out, 1, 2);
	put_le(out, 1, 2);
	put_le(out, end - directory, 4);
	put_le(out, directory, 4);
	put_le(out, 0, 2);
	buf_done(&packed);
}

/* --- the mail ------------------------------------------------------------------------------------------- */

static void
put_base64(struct buf *out, struct bytes b)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < b.n; i += 3) {
		uint32_t v = 0;
		size_t k = b.n - i < 3 ? b.n - i : 3;
		for (size_t j = 0; j < 3; j++)
			v = v << 8 | (j < k ? b.p[i + j] : 0);
		char four[4] = {digits[v >> 18], digits[v >> 12 & 63], k > 1 ? digits[v >> 6 & 63] : '=',
				k > 2 ? digits[v & 63] : '='};
		buf_add(out, four, 4);
		if (i % 57 == 54)
			buf_add_str(out, "\r\n");
	}
	buf_add_str(out, "\r\n");
}

/* Shifted by one, as it may not stand anywhere as it is. */
static void
put_eicar(struct buf *out)
{
	static const char shifted[] = "Y6P\"Q&ABQ\\5]Q[Y65)Q_*8DD*8~%FJDBS.TUBOEBSE.BOUJWJSVT.UFTU.GJMF\"%I,I+";
	for (const char *p = shifted; *p != '\0'; p++) {
		char c = (char)(*p - 1);
		buf_add(out, &c, 1);
	}
}

struct selftest *
selftest_new(void)
{
	struct selftest *t = calloc(1, sizeof(*t));
	struct buf inner, outer;
	if (t == NULL)
		abort();
	buf_init(&inner, 0);
	buf_init(&outer, 0);
	buf_init(&t->eicar, 0);
	buf_init(&t->mail, 0);
	put_eicar(&t->eicar);
	put_zip(&inner, "inner.com", buf_bytes(&t->eicar));
	put_zip(&outer, "outer.zip", buf_bytes(&inner));
	buf_add_str(&t->mail,
		    "From: selftest@localhost\r\nTo: selftest@localhost\r\nSubject: self-test\r\n"
		    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"selftest\"\r\n\r\n"
		    "--selftest\r\nContent-Type: text/plain\r\n\r\nself-test\r\n"
		    "--selftest\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	put_base64(&t->mail, buf_bytes(&outer));
	buf_add_str(&t->mail, "--selftest--\r\n");
	buf_done(&inner);
	buf_done(&outer);
	if (!buf_ok(&t->mail) || !buf_ok(&t->eicar))
		abort();
	return t;
}

enum selftest_result
selftest_run(const struct selftest *t, struct engine *engine)
{
	struct arena *a = arena_new();
	bool anomaly = false;
	enum selftest_result result = SELFTEST_PASSED;
	const struct facts *f = inspect_message(engine, buf_bytes(&t->mail), a, &anomaly);
	if (f->verdict != FACTS_INFECTED || anomaly) {
		struct findings plain;
		findings_init(&plain, a);
		engine_scan(engine, buf_bytes(&t->eicar), ENGINE_FILE, &plain);
		result = plain.worst == FACTS_CLEAN ? SELFTEST_NO_EICAR : SELFTEST_BLIND;
	}
	arena_free(&a);
	return result;
}
