/* SPDX-License-Identifier: MIT
 *
 * Synthetic mails: see mail.h. Cheap on purpose: the generator shares the machine with what it measures.
 */
#include "mail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conn.h"

static const char *const words[64] = {
    "about",	"account", "after",    "again",	 "agenda",   "answer",	 "april",   "attached", "before",  "board",
    "budget",	"call",	   "change",   "client", "close",    "contract", "copy",    "costs",	"date",	   "delay",
    "delivery", "design",  "draft",    "early",	 "enclosed", "figure",	 "final",   "follow",	"forward", "from",
    "group",	"hours",   "invoice",  "issue",	 "kindly",   "later",	 "letter",  "market",	"meeting", "minutes",
    "monday",	"notes",   "number",   "offer",	 "office",   "order",	 "payment", "people",	"phone",   "please",
    "project",	"quarter", "question", "reply",	 "report",   "review",	 "sales",   "schedule", "send",	   "summary",
    "thanks",	"today",   "update",   "week"};

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* splitmix64: one multiply-and-shift round per 64 bits is random enough for bodies. */
static uint64_t
next(uint64_t *s)
{
	uint64_t z = (*s += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void
room(struct mail *m, size_t n)
{
	if (m->cap - m->len >= n)
		return;
	m->cap = (m->len + n) * 2;
	m->data = xrealloc(m->data, m->cap);
}

static void put(struct mail *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void
put(struct mail *m, const char *format, ...)
{
	va_list args;
	int n;

	room(m, 1024);
	va_start(args, format);
	n = vsnprintf(m->data + m->len, 1024, format, args);
	va_end(args);
	m->len += n < 1024 ? (size_t)n : 1023;
}

static void
put_text(struct mail *m, size_t until, uint64_t *s)
{
	size_t column = 0;

	while (m->len + 2 < until) {
		uint64_t r = next(s);

		room(m, 128);
		for (int i = 0; i < 8; i++, r >>= 8) {
			const char *w = words[r & 63];
			size_t n = strlen(w);

			memcpy(m->data + m->len, w, n);
			m->len += n;
			column += n + 1;
			/* a few random letters, so that no two bodies share many words in a row */
			if (r & 64)
				m->data[m->len++] = (char)('a' + (r >> 3) % 26);
			if (column > 64) {
				m->data[m->len++] = '\r';
				m->data[m->len++] = '\n';
				column = 0;
			} else {
				m->data[m->len++] = ' ';
			}
		}
	}
	put(m, "\r\n");
}

static void
put_base64(struct mail *m, size_t until, uint64_t *s)
{
	while (m->len + 78 <= until) {
		char *p;

		room(m, 80);
		p = m->data + m->len;
		for (int i = 0; i < 76;) { /* random digits of base64 are the base64 of random octets */
			uint64_t r = next(s);

			for (int k = 0; k < 10 && i < 76; k++, i++, r >>= 6)
				p[i] = base64[r & 63];
		}
		p[76] = '\r';
		p[77] = '\n';
		m->len += 78;
	}
}

void
mail_make(struct mail *m, const struct mail_shape *shape, const char *id, uint64_t seed, uint64_t number)
{
	uint64_t s = seed * 0x2545f4914f6cdd1du + number;
	time_t t = time(NULL);
	struct tm tm;
	char date[64];

	next(&s);
	gmtime_r(&t, &tm);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
	m->len = 0;
	put(m, "Date: %s\r\nFrom: Bench <%s>\r\nTo: <%s>\r\n", date, shape->from, shape->to);
	put(m, "Subject: bench mail %llu %s\r\n", (unsigned long long)number, words[next(&s) & 63]);
	put(m, "Message-ID: <%s@bench.example>\r\nX-Bench-Id: %s\r\nMIME-Version: 1.0\r\n", id, id);
	if (!shape->attachment) {
		put(m, "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
		put_text(m, shape->size, &s);
		return;
	}
	put(m, "Content-Type: multipart/mixed; boundary=\"=_%016llx\"\r\n\r\n", (unsigned long long)seed + number);
	put(m, "--=_%016llx\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", (unsigned long long)seed + number);
	put_text(m, m->len + 1024, &s);
	put(m,
	    "--=_%016llx\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment; filename=\"data-%llu.bin\"\r\n\r\n",
	    (unsigned long long)seed + number, (unsigned long long)number);
	put_base64(m, shape->size, &s);
	put(m, "--=_%016llx--\r\n", (unsigned long long)seed + number);
}
