/* SPDX-License-Identifier: MIT
 *
 * Every leaf is scanned as it decodes, texts also for what readers find in them (uuencoded files, foreign charsets),
 * mails inside containers are read in turn. A reading that others may not share is ambiguous unless something was
 * found.
 */
#include "inspect.h"

#include <stdio.h>

#include "facts/charset.h"
#include "facts/extract.h"
#include "facts/mime.h"
#include "facts/mime_second.h"

#define UU_FILES_MAX 100

struct inspection {
	struct engine *engine;
	struct arena *arena;
	struct findings findings;
};

static void
on_report(void *ctx, enum facts_verdict v, const char *reason)
{
	findings_add(ctx, v, reason);
}

static bool
begins_a_line(struct bytes text, const char *sign)
{
	struct bytes want = bytes_str(sign), rest = text;
	for (ptrdiff_t hit; (hit = bytes_find(rest, want)) >= 0;) {
		if (rest.p + hit == text.p || rest.p[hit - 1] == '\n')
			return true;
		rest = bytes_of(rest.p + hit + 1, rest.n - (size_t)hit - 1);
	}
	return false;
}

/* Old readers find files in the middle of texts. */
static void
look_into_text(struct inspection *in, struct bytes text)
{
	struct bytes file;
	size_t at = 0, files = 0;
	const char *why = NULL;
	while (decode_find_uu(text, &at, in->arena, &file, &why)) {
		if (++files > UU_FILES_MAX) {
			findings_add(&in->findings, FACTS_LIMIT, "too many uuencoded files");
			break;
		}
		engine_scan(in->engine, file, ENGINE_FILE, &in->findings);
	}
	if (why != NULL)
		findings_add(&in->findings, FACTS_AMBIGUOUS, why);
	if (begins_a_line(text, "=ybegin "))
		findings_add(&in->findings, FACTS_UNSCANNABLE, "a yEnc file");
	if (begins_a_line(text, "(This file must be converted with BinHex"))
		findings_add(&in->findings, FACTS_UNSCANNABLE, "a BinHex file");
	if (begins_a_line(text, "-----BEGIN PGP MESSAGE-----"))
		findings_add(&in->findings, FACTS_ENCRYPTED, "a PGP message");
}

static void
look_at_part(struct inspection *in, const struct mime_part *p)
{
	if (p->content.n == 0)
		return;
	engine_scan(in->engine, p->content, p->text_body ? ENGINE_TEXT : ENGINE_FILE, &in->findings);
	if (strncmp(p->content_type, "text/", 5) != 0)
		return;
	look_into_text(in, p->content);
	if (!charset_keeps_ascii(p->charset)) {
		struct bytes utf8 = charset_to_utf8(p->charset, p->content, FACTS_TEXT_MAX * 8, in->arena);
		engine_scan(in->engine, utf8, ENGINE_TEXT, &in->findings);
		look_into_text(in, utf8);
	}
}

static void
look_at_parts(struct inspection *in, const struct mime *m)
{
	for (size_t i = 0; i < m->n_parts && in->findings.worst != FACTS_INFECTED; i++) {
		const struct mime_part *p = &m->parts[i];
		look_at_part(in, p);
		const struct header_param *smime = header_param(&p->type, "smime-type");
		if (strstr(p->content_type, "pkcs7-mime") != NULL) {
			if (smime != NULL && bytes_ieq(smime->value, bytes_str("signed-data")))
				findings_add(&in->findings, FACTS_UNSCANNABLE, "a message inside its signature");
			else
				findings_add(&in->findings, FACTS_ENCRYPTED, "an S/MIME encrypted message");
		}
	}
}

/* --- mails inside containers ---------------------------------------------------------------------------- */

/* Stored mails have the line ends of their system; our reading wants CRLF. */
static struct bytes
canonical(struct arena *a, struct bytes b)
{
	if (bytes_find(b, bytes_str("\r\n")) >= 0)
		return b;
	size_t lines = 0, n = 0;
	for (size_t i = 0; i < b.n; i++)
		lines += b.p[i] == '\n';
	uint8_t *out = arena_alloc(a, b.n + lines + 1);
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] == '\n')
			out[n++] = '\r';
		out[n++] = b.p[i];
	}
	return bytes_of(out, n);
}

/* The scanner takes any text that begins like a mail for one; only one with MIME in it can mislead a reader. */
static bool
has_mime(const struct mime *m)
{
	return m->n_parts > 0 && (header_find(&m->parts[0].fields, "Content-Type") != NULL ||
				  header_find(&m->parts[0].fields, "Content-Transfer-Encoding") != NULL);
}

static void
look_at_mails(struct inspection *in)
{
	for (size_t i = 0; i < in->findings.n_mails && in->findings.worst != FACTS_INFECTED; i++) {
		struct findings own;
		struct mime m;
		findings_init(&own, in->arena);
		mime_read(&m, canonical(in->arena, in->findings.mails[i]), in->arena, on_report, &own);
		if (!has_mime(&m))
			continue;
		if (own.worst != FACTS_CLEAN)
			findings_add(&in->findings, own.worst, own.reason);
		look_at_parts(in, &m);
	}
}

/* --- the whole ------------------------------------------------------------------------------------------ */

struct facts *
inspect_message(struct engine *engine, struct bytes msg, struct arena *a, bool *anomaly_r)
{
	struct inspection in = {.engine = engine, .arena = a};
	struct mime m;
	struct facts *f = arena_new_array(a, struct facts, 1);
	findings_init(&in.findings, a);
	mime_read(&m, msg, a, on_report, &in.findings);
	engine_scan(engine, msg, ENGINE_MESSAGE, &in.findings);
	look_at_parts(&in, &m);
	if (in.findings.worst != FACTS_INFECTED && !m.cut)
		mime_second_compare(&m);
	look_at_mails(&in);
	if (in.findings.worst == FACTS_AMBIGUOUS)
		engine_scan(engine, msg, ENGINE_MESSAGE_ODD, &in.findings);
	extract_facts(&m, f);
	f->verdict = in.findings.worst;
	f->signature = in.findings.signature;
	f->reason = in.findings.reason;
	f->scanner = engine_name(engine);
	*anomaly_r = in.findings.anomaly;
	return f;
}

void
inspect_preload(void)
{
	extract_preload();
	mime_second_preload();
}
