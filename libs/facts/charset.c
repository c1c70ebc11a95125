/* SPDX-License-Identifier: MIT
 *
 * A few converters, opened at first use and kept. ICU's data are part of its library, so nothing is opened in the cage.
 */
#include "facts/charset.h"

#include <stdlib.h>
#include <unicode/ucnv.h>
#include <unicode/uidna.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#define OPEN_MAX 24

struct converter {
	char name[40];
	UConverter *icu; /* NULL: ICU does not know it */
	bool keeps_ascii;
};

static struct converter open_converters[OPEN_MAX];
static size_t n_open;

/* --- names ---------------------------------------------------------------------------------------------- */

static const struct {
	const char *mail, *icu;
} meanings[] = {
    {"shift_jis", "ibm-943_P15A-2003"},
    {"shift-jis", "ibm-943_P15A-2003"},
    {"sjis", "ibm-943_P15A-2003"},
    {"x-sjis", "ibm-943_P15A-2003"},
    {"windows-31j", "ibm-943_P15A-2003"},
    {"cp932", "ibm-943_P15A-2003"},
    {"ms932", "ibm-943_P15A-2003"},
    {"iso-2022-jp", "ISO_2022,locale=ja,version=3"},
    {"iso-2022-jp-ms", "ISO_2022,locale=ja,version=3"},
    {"cp50220", "ISO_2022,locale=ja,version=3"},
    {"cp50221", "ISO_2022,locale=ja,version=3"},
    {"euc-jp", "euc-jp-2007"},
    {"x-euc-jp", "euc-jp-2007"},
    {"iso-8859-1", "windows-1252"},
    {"latin1", "windows-1252"},
    {"us-ascii", "windows-1252"},
    {"ascii", "windows-1252"},
    {"iso-8859-9", "windows-1254"},
    {"gb2312", "gb18030"},
    {"gbk", "gb18030"},
    {"ks_c_5601-1987", "windows-949"},
    {"euc-kr", "windows-949"},
    {"big5", "windows-950"},
    {"tis-620", "windows-874"},
};

static bool
test_ascii(UConverter *icu)
{
	char in[95];
	UChar out[200];
	UErrorCode rc = U_ZERO_ERROR;
	for (int i = 0; i < 95; i++)
		in[i] = (char)(' ' + i);
	int32_t n = ucnv_toUChars(icu, out, 200, in, 95, &rc);
	if (U_FAILURE(rc) || n != 95)
		return false;
	for (int i = 0; i < 95; i++)
		if (out[i] != ' ' + i)
			return false;
	return true;
}

static struct converter *
find_converter(const char *charset)
{
	const char *icu = charset;
	for (size_t i = 0; i < n_open; i++)
		if (strcasecmp(open_converters[i].name, charset) == 0)
			return &open_converters[i];
	if (strlen(charset) >= sizeof(open_converters[0].name))
		return NULL;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strcasecmp(meanings[i].mail, charset) == 0)
			icu = meanings[i].icu;
	/* Full: the last place is the one that changes. */
	struct converter *c = &open_converters[n_open < OPEN_MAX ? n_open++ : OPEN_MAX - 1];
	if (c->icu != NULL)
		ucnv_close(c->icu);
	UErrorCode rc = U_ZERO_ERROR;
	strcpy(c->name, charset);
	/* A comma in a mail's charset would be an option of ICU's. */
	c->icu = icu == charset && strchr(charset, ',') != NULL ? NULL : ucnv_open(icu, &rc);
	c->keeps_ascii = c->icu == NULL || test_ascii(c->icu);
	return c;
}

bool
charset_keeps_ascii(const char *charset)
{
	struct converter *c = charset[0] != '\0' ? find_converter(charset) : NULL;
	return c == NULL || c->keeps_ascii;
}

/* --- guessing ------------------------------------------------------------------------------------------- */

static bool
is_utf8(struct bytes b)
{
	UErrorCode rc = U_ZERO_ERROR;
	int32_t n;
	u_strFromUTF8(NULL, 0, &n, (const char *)b.p, (int32_t)b.n, &rc);
	return rc == U_BUFFER_OVERFLOW_ERROR || U_SUCCESS(rc);
}

/* Octets that fit EUC-JP's pairs, against those that fit Shift_JIS's: raw 8-bit headers of old Japanese mailers. */
static const char *
guess_japanese(struct bytes b)
{
	size_t euc = 0, sjis = 0, euc_bad = 0, sjis_bad = 0;
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] < 0x80)
			continue;
		if (b.p[i] >= 0xa1 && b.p[i] != 0xff && i + 1 < b.n && b.p[i + 1] >= 0xa1 && b.p[i + 1] != 0xff) {
			euc++;
			i++;
		} else {
			euc_bad++;
		}
	}
	for (size_t i = 0; i < b.n; i++) {
		uint8_t c = b.p[i];
		if (c < 0x80 || (c >= 0xa1 && c <= 0xdf))
			continue;
		bool lead = (c >= 0x81 && c <= 0x9f) || (c >= 0xe0 && c <= 0xfc);
		if (lead && i + 1 < b.n && b.p[i + 1] >= 0x40 && b.p[i + 1] <= 0xfc && b.p[i + 1] != 0x7f) {
			sjis++;
			i++;
		} else {
			sjis_bad++;
		}
	}
	if (euc_bad == 0 && euc > 0)
		return "euc-jp";
	return sjis_bad == 0 && sjis > 0 ? "shift_jis" : "windows-1252";
}

static const char *
guess(struct bytes b)
{
	bool high = false;
	for (size_t i = 0; i < b.n && !high; i++)
		high = b.p[i] >= 0x80;
	if (!high)
		return bytes_find(b, bytes_str("\x1b$")) >= 0 ? "iso-2022-jp" : "us-ascii";
	return is_utf8(b) ? "utf-8" : guess_japanese(b);
}

/* --- converting ----------------------------------------------------------------------------------------- */

static bool
plain_ascii(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] >= 0x80 || b.p[i] == 0x1b || b.p[i] == 0)
			return false;
	return true;
}

size_t
charset_cut(struct bytes utf8, size_t max)
{
	if (utf8.n <= max)
		return utf8.n;
	while (max > 0 && (utf8.p[max] & 0xc0) == 0x80)
		max--;
	return max;
}

static struct bytes
from_utf16(UChar *u, int32_t n, size_t max, struct arena *a)
{
	UErrorCode rc = U_ZERO_ERROR;
	int32_t octets = 0;
	for (int32_t i = 0; i < n; i++)
		if (u[i] == 0)
			u[i] = 0xfffd;
	char *out = arena_alloc(a, (size_t)n * 3 + 1);
	u_strToUTF8WithSub(out, n * 3 + 1, &octets, u, n, 0xfffd, NULL, &rc);
	struct bytes b = bytes_of(out, U_SUCCESS(rc) ? (size_t)octets : 0);
	b.n = charset_cut(b, max);
	return b;
}

struct bytes
charset_to_utf8(const char *charset, struct bytes b, size_t max, struct arena *a)
{
	if (charset[0] == '\0' || strcasecmp(charset, "us-ascii") == 0 || strcasecmp(charset, "unknown-8bit") == 0)
		charset = guess(b);
	struct converter *c = find_converter(charset);
	if (c == NULL || c->icu == NULL)
		c = find_converter(guess(b));
	if (c->keeps_ascii && plain_ascii(b))
		return bytes_of(b.p, b.n < max ? b.n : max);
	/* A character takes at least one octet of input and at most two units; what is over max is not converted. */
	size_t take = b.n < max * 4 ? b.n : max * 4;
	UErrorCode rc = U_ZERO_ERROR;
	int32_t cap = (int32_t)(take * 2 + 8);
	UChar *u = arena_alloc(a, (size_t)cap * sizeof(*u));
	ucnv_reset(c->icu);
	int32_t n = ucnv_toUChars(c->icu, u, cap, (const char *)b.p, (int32_t)take, &rc);
	if (U_FAILURE(rc) || n > cap)
		n = 0;
	/* A byte order mark is no text. */
	int32_t skip = n > 0 && u[0] == 0xfeff;
	return from_utf16(u + skip, n - skip, max, a);
}

struct bytes
charset_nfkc(struct bytes utf8, size_t max, struct arena *a)
{
	UErrorCode rc = U_ZERO_ERROR;
	if (plain_ascii(utf8))
		return bytes_of(utf8.p, utf8.n < max ? utf8.n : max);
	int32_t n, cap = (int32_t)utf8.n + 1;
	UChar *u = arena_alloc(a, (size_t)cap * sizeof(*u));
	u_strFromUTF8WithSub(u, cap, &n, (const char *)utf8.p, (int32_t)utf8.n, 0xfffd, NULL, &rc);
	const UNormalizer2 *nfkc = unorm2_getNFKCInstance(&rc);
	if (U_FAILURE(rc))
		return bytes_of(utf8.p, charset_cut(utf8, max));
	if (unorm2_spanQuickCheckYes(nfkc, u, n, &rc) == n)
		return bytes_of(utf8.p, charset_cut(utf8, max));
	/* NFKC may lengthen up to 18-fold; a second try knows how much. */
	int32_t to_cap = n * 2 + 64, to_n;
	UChar *to = arena_alloc(a, (size_t)to_cap * sizeof(*to));
	rc = U_ZERO_ERROR;
	to_n = unorm2_normalize(nfkc, u, n, to, to_cap, &rc);
	if (rc == U_BUFFER_OVERFLOW_ERROR) {
		rc = U_ZERO_ERROR;
		to_cap = to_n + 1;
		to = arena_alloc(a, (size_t)to_cap * sizeof(*to));
		to_n = unorm2_normalize(nfkc, u, n, to, to_cap, &rc);
	}
	return from_utf16(to, U_SUCCESS(rc) ? to_n : 0, max, a);
}

const char *
charset_domain(struct bytes domain, struct arena *a)
{
	static UIDNA *idna;
	UErrorCode rc = U_ZERO_ERROR;
	char *lower = arena_strndup(a, domain.p, domain.n);
	for (char *p = lower; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	if (plain_ascii(domain))
		return lower;
	if (idna == NULL)
		idna = uidna_openUTS46(UIDNA_CHECK_BIDI | UIDNA_NONTRANSITIONAL_TO_ASCII, &rc);
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	char ascii[256];
	int32_t n = U_SUCCESS(rc) ? uidna_nameToASCII_UTF8(idna, (const char *)domain.p, (int32_t)domain.n, ascii,
							   sizeof(ascii), &info, &rc)
				  : 0;
	bool ok = U_SUCCESS(rc) && info.errors == 0 && n > 0 && n < (int32_t)sizeof(ascii);
	return ok ? arena_strndup(a, ascii, (size_t)n) : lower;
}

void
charset_preload(void)
{
	static const char *const usual[] = {"utf-8", "iso-2022-jp", "shift_jis", "euc-jp", "windows-1252", "us-ascii"};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		find_converter(usual[i]);
	charset_nfkc(bytes_str("\xef\xbd\xb1\xef\xbc\xa1"), 64, a);
	charset_domain(bytes_str("\xe4\xbe\x8b.jp"), a);
	arena_free(&a);
}
