/* SPDX-License-Identifier: MIT
 *
 * Zip (APPNOTE.TXT 4.3), as strict as readers differ: some look for the last end record, some for the first; some go by
 * the directory, some by the local headers. Listed is only what all of them read alike. No state.
 */
#include <stdlib.h>

#include "facts/archive.h"

enum { ZIP_STORED = 0, ZIP_IMPLODED = 6, ZIP_DEFLATED = 8, ZIP_DEFLATE64 = 9, ZIP_BZIP2 = 12 };
enum { END_OCTETS = 22, END64_OCTETS = 56 + 20, ENTRY_OCTETS = 46, LOCAL_OCTETS = 30 };
enum { FLAG_ENCRYPTED = 1, FLAG_DESCRIPTOR = 8 };
enum { LOCAL_SIGN = 0x04034b50, ENTRY_SIGN = 0x02014b50, END_SIGN = 0x06054b50 };

#define COMMENT_MAX 65535

struct span {
	uint64_t from, to;
};

struct zip {
	struct bytes b;
	uint64_t base, directory, directory_end;
	uint32_t entries;
};

static uint32_t
le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t
le32(const uint8_t *p)
{
	return le16(p) | le16(p + 2) << 16;
}

/* --- the end record ------------------------------------------------------------------------------------- */

/* The octets "PK\5\6" alone may stand anywhere by chance; behind a directory, or in an empty zip, they do not. */
static bool
is_likely_end(struct bytes b, size_t at)
{
	if (b.n - at < END_OCTETS || le32(b.p + at) != END_SIGN)
		return false;
	uint32_t size = le32(b.p + at + 12);
	if (le32(b.p + at + 4) == 0 && le32(b.p + at + 8) == 0)
		return true;
	if (at >= size && size >= ENTRY_OCTETS && le32(b.p + at - size) == ENTRY_SIGN)
		return true;
	return le32(b.p + at + 4) == 0 && at + END_OCTETS + le16(b.p + at + 20) <= b.n;
}

/* The last one that readers would take for one; -1: none. */
static ptrdiff_t
find_end(struct bytes b)
{
	if (b.n < END_OCTETS)
		return -1;
	size_t least = b.n > COMMENT_MAX + END_OCTETS ? b.n - COMMENT_MAX - END_OCTETS : 0;
	for (size_t at = b.n - END_OCTETS;; at--) {
		if (b.p[at] == 'P' && is_likely_end(b, at))
			return (ptrdiff_t)at;
		if (at == least)
			return -1;
	}
}

/* Some writers put a zip64 record before an end record that does without it. */
static bool
has_end64(struct bytes b, size_t end)
{
	return end >= END64_OCTETS && le32(b.p + end - 20) == 0x07064b50 &&
	       le32(b.p + end - END64_OCTETS) == 0x06064b50 && le32(b.p + end - END64_OCTETS + 4) == 44;
}

static bool
read_end(struct zip *z, size_t end)
{
	const uint8_t *p = z->b.p + end;
	static const uint8_t sign[] = {'P', 'K', 5, 6};
	uint64_t size = le32(p + 12), offset = le32(p + 16);
	z->entries = le16(p + 10);
	z->directory_end = has_end64(z->b, end) ? end - END64_OCTETS : end;
	if (end + END_OCTETS + le16(p + 20) != z->b.n || le32(p + 4) != 0 || le16(p + 8) != z->entries)
		return false;
	if (z->entries == 0xffff || size == 0xffffffff || offset == 0xffffffff || size + offset > z->directory_end)
		return false;
	z->directory = z->directory_end - size;
	z->base = z->directory - offset;
	struct bytes directory = bytes_of(z->b.p + z->directory, size);
	struct bytes comment = bytes_of(p + END_OCTETS, z->b.n - end - END_OCTETS);
	return bytes_find(directory, bytes_of(sign, 4)) < 0 && bytes_find(comment, bytes_of(sign, 4)) < 0;
}

/* --- the directory -------------------------------------------------------------------------------------- */

/* Where the member's header and octets lie; false if its own header says something else than the directory. */
static bool
read_local(const struct zip *z, const uint8_t *entry, struct span *out_r)
{
	struct bytes local, data;
	uint64_t at = z->base + le32(entry + 42);
	uint32_t flags = le16(entry + 8), packed = le32(entry + 20);
	if (at >= z->directory || !bytes_slice(z->b, at, LOCAL_OCTETS, &local) || le32(local.p) != LOCAL_SIGN)
		return false;
	uint32_t own_flags = le16(local.p + 6), own_packed = le32(local.p + 18);
	if (le16(local.p + 8) != le16(entry + 10) || ((flags ^ own_flags) & FLAG_ENCRYPTED) != 0)
		return false;
	bool later = (own_flags & FLAG_DESCRIPTOR) != 0 && own_packed == 0;
	if (own_packed != packed && !later && own_packed != 0xffffffff)
		return false;
	uint64_t start = at + LOCAL_OCTETS + le16(local.p + 26) + le16(local.p + 28);
	if (!bytes_slice(z->b, start, packed, &data) || start + packed > z->directory)
		return false;
	*out_r = (struct span){at, start + packed};
	return true;
}

static void
count_member(const uint8_t *entry, uint32_t ignore_octets, struct archive_list *list)
{
	uint32_t method = le16(entry + 10);
	if (le32(entry + 24) <= ignore_octets && le32(entry + 20) <= ignore_octets + 64)
		return;
	if ((le16(entry + 8) & FLAG_ENCRYPTED) != 0)
		list->encrypted++;
	else if (method == ZIP_STORED || method == ZIP_DEFLATED || method == ZIP_DEFLATE64 || method == ZIP_BZIP2 ||
		 method == ZIP_IMPLODED)
		list->members++;
	else
		list->unreadable++;
}

static bool
read_entries(const struct zip *z, struct span *spans, uint32_t ignore_octets, struct archive_list *list)
{
	uint64_t at = z->directory;
	for (uint32_t i = 0; i < z->entries; i++) {
		struct bytes head;
		if (!bytes_slice(z->b, at, ENTRY_OCTETS, &head) || le32(head.p) != ENTRY_SIGN ||
		    !read_local(z, head.p, &spans[i]))
			return false;
		at += ENTRY_OCTETS + le16(head.p + 28) + le16(head.p + 30) + le16(head.p + 32);
		count_member(head.p, ignore_octets, list);
	}
	return at == z->directory_end;
}

/* --- what no entry covers ------------------------------------------------------------------------------- */

static int
by_start(const void *x, const void *y)
{
	const struct span *a = x, *b = y;
	return a->from < b->from ? -1 : a->from > b->from;
}

/* A local header (or an end record) that the directory does not know of; programs before a zip hold its signs too. */
static bool
hides_member(struct bytes b)
{
	for (const uint8_t *p = b.p, *end = b.p + b.n; p + LOCAL_OCTETS <= end; p++) {
		p = memchr(p, 'P', (size_t)(end - p));
		if (p == NULL || p + LOCAL_OCTETS > end)
			return false;
		if (is_likely_end(b, (size_t)(p - b.p)))
			return true;
		uint32_t name = le16(p + 26);
		if (le32(p) == LOCAL_SIGN && p[5] == 0 && p[4] <= 63 && le16(p + 8) < 100 && name > 0 && name < 4096)
			return true;
	}
	return false;
}

static bool
gaps_are_empty(const struct zip *z, struct span *spans)
{
	uint64_t at = 0;
	if (z->entries > 0)
		qsort(spans, z->entries, sizeof(*spans), by_start);
	for (uint32_t i = 0; i <= z->entries; i++) {
		uint64_t next = i < z->entries ? spans[i].from : z->directory;
		if (next < at || hides_member(bytes_of(z->b.p + at, next - at)))
			return false;
		if (i < z->entries)
			at = spans[i].to;
	}
	return true;
}

enum archive_state
archive_list_zip(struct bytes b, uint32_t ignore_octets, struct archive_list *out_r)
{
	struct archive_list list = {0};
	struct zip z = {.b = b};
	ptrdiff_t end = find_end(b);
	if (end < 0)
		return ARCHIVE_NONE;
	if (!read_end(&z, (size_t)end))
		return ARCHIVE_BROKEN;
	struct span *spans = calloc(z.entries + 1, sizeof(*spans));
	bool ok = spans != NULL && read_entries(&z, spans, ignore_octets, &list) && gaps_are_empty(&z, spans);
	free(spans);
	if (!ok)
		return ARCHIVE_BROKEN;
	list.base = z.base;
	*out_r = list;
	return ARCHIVE_LISTED;
}
