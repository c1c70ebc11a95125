/* SPDX-License-Identifier: MIT
 *
 * Readers of directories: TNEF (MS-OXTNEF 2.1), tar (POSIX ustar); ends of gzip and bzip2. No memory, no state.
 */
#include "facts/archive.h"

#include <zlib.h>

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

enum archive_state
archive_list_tnef(struct bytes b, uint32_t ignore_octets, struct archive_list *out_r)
{
	enum { ATT_ATTACH_DATA = 0x0006800f, ATT_ATTACHMENT = 0x00069005 };
	struct archive_list list = {0};
	if (b.n < 6 || le32(b.p) != 0x223e9f78)
		return ARCHIVE_NONE;
	for (size_t at = 6; at < b.n;) {
		struct bytes head, data;
		if (!bytes_slice(b, at, 9, &head) || head.p[0] < 1 || head.p[0] > 2)
			return ARCHIVE_BROKEN;
		uint32_t id = le32(head.p + 1), length = le32(head.p + 5);
		if (!bytes_slice(b, (uint64_t)at + 9, (uint64_t)length + 2, &data))
			return ARCHIVE_BROKEN;
		if (id == ATT_ATTACH_DATA && length > ignore_octets)
			list.members++;
		at += 9 + (size_t)length + 2;
	}
	*out_r = list;
	return ARCHIVE_LISTED;
}

/* --- tar ------------------------------------------------------------------------------------------------ */

#define BLOCK 512u

static bool
only_zeros(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static bool
octal(const uint8_t *p, size_t n, uint64_t *out_r)
{
	uint64_t v = 0;
	size_t i = 0;
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(p[i] - '0');
	if (i < n && p[i] != ' ' && p[i] != '\0')
		return false;
	*out_r = v;
	return true;
}

/* Octal, or as GNU has it, binary behind a first octet of 0x80. */
static bool
tar_number(const uint8_t *p, size_t n, uint64_t *out_r)
{
	if (p[0] < 0x80)
		return octal(p, n, out_r);
	if (p[0] != 0x80 || !only_zeros(p + 1, n - 9))
		return false;
	uint64_t v = 0;
	for (size_t i = n - 8; i < n; i++)
		v = v << 8 | p[i];
	*out_r = v;
	return true;
}

/* Old writers summed signed characters. */
static bool
checksum_fits(const uint8_t *head)
{
	uint64_t want;
	int64_t with = 0, without = 0;
	for (size_t i = 0; i < BLOCK; i++) {
		uint8_t c = i >= 148 && i < 156 ? ' ' : head[i];
		without += c;
		with += (int8_t)c;
	}
	return octal(head + 148, 8, &want) && ((int64_t)want == without || (int64_t)want == with);
}

/* What is in it is put together from several places, by some readers only. */
static bool
is_tar_patchwork(uint8_t kind, struct bytes data)
{
	if (kind == 'S' || kind == 'M')
		return true;
	return (kind == 'x' || kind == 'g') &&
	       (bytes_find(data, bytes_str(" size=")) >= 0 || bytes_find(data, bytes_str(" GNU.sparse.")) >= 0);
}

static enum archive_state
read_tar_member(struct bytes b, uint64_t at, uint32_t ignore_octets, uint64_t *next_r, struct archive_list *list)
{
	struct bytes head, data;
	uint64_t size;
	if (!bytes_slice(b, at, BLOCK, &head) || !checksum_fits(head.p) || !tar_number(head.p + 124, 12, &size) ||
	    !bytes_slice(b, at + BLOCK, size, &data))
		return ARCHIVE_BROKEN;
	uint8_t kind = head.p[156];
	bool hollow = kind >= '1' && kind <= '6'; /* links, devices, folders */
	if (is_tar_patchwork(kind, data) || (hollow && size > 0))
		return ARCHIVE_BROKEN;
	bool extension = kind == 'x' || kind == 'g' || kind == 'L' || kind == 'K' || kind == 'V';
	if (!hollow && !extension && size > ignore_octets)
		list->members++;
	*next_r = at + BLOCK + ((size + BLOCK - 1) & ~(uint64_t)(BLOCK - 1));
	return ARCHIVE_LISTED;
}

enum archive_state
archive_list_tar(struct bytes b, uint32_t ignore_octets, struct archive_list *out_r)
{
	struct archive_list list = {0};
	for (uint64_t at = 0; at < b.n;) {
		size_t left = b.n - at;
		if (only_zeros(b.p + at, left < BLOCK ? left : BLOCK)) {
			if (!only_zeros(b.p + at, left))
				return ARCHIVE_BROKEN;
			break;
		}
		if (read_tar_member(b, at, ignore_octets, &at, &list) != ARCHIVE_LISTED)
			return ARCHIVE_BROKEN;
	}
	*out_r = list;
	return ARCHIVE_LISTED;
}

/* --- streams -------------------------------------------------------------------------------------------- */

bool
archive_gzip_is_tiny(struct bytes b, uint32_t ignore_octets)
{
	return b.n >= 18 && b.n < 64 && le32(b.p + b.n - 4) <= ignore_octets;
}

/* At the end of a stream: is the next one where every reader looks for it? */
static bool
next_stream_is_plain(z_stream *z)
{
	struct bytes rest = bytes_of(z->next_in, z->avail_in);
	return rest.n == 0 || rest.p[0] != 0 || only_zeros(rest.p, rest.n);
}

bool
archive_gzip_pads_no_stream(struct bytes b, uint64_t octets_max)
{
	uint8_t scratch[32768];
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)b.p, .avail_in = (uInt)b.n};
	if (b.n > UINT32_MAX || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return false;
	bool plain = true;
	uint64_t out = 0;
	int rc = Z_OK;
	while (rc == Z_OK && plain) {
		z.next_out = scratch;
		z.avail_out = sizeof(scratch);
		rc = inflate(&z, Z_NO_FLUSH);
		out += sizeof(scratch) - z.avail_out;
		plain = out <= octets_max;
		if (rc == Z_STREAM_END && plain) {
			plain = next_stream_is_plain(&z);
			rc = z.avail_in > 0 && z.next_in[0] == 0x1f ? inflateReset(&z) : Z_STREAM_END;
		}
	}
	inflateEnd(&z);
	return plain;
}

/* A stream ends with 48 bits that begin at any bit, and a checksum of 32; zeros fill the last octet. */
bool
archive_bzip2_is_single(struct bytes b)
{
	const uint64_t end_sign = 0x177245385090, mask = 0xffffffffffff;
	uint64_t window = 0;
	for (size_t i = 0; i < b.n; i++) {
		window = window << 8 | b.p[i];
		for (unsigned shift = 0; shift < 8; shift++)
			if ((window >> shift & mask) == end_sign)
				return i + 1 + 4 == b.n;
	}
	return false;
}

const char *
archive_find_embedded(struct bytes b)
{
	static const uint8_t rar[] = {'R', 'a', 'r', '!', 0x1a, 7}, sevenzip[] = {'7', 'z', 0xbc, 0xaf, 0x27, 0x1c};
	if (bytes_find(b, bytes_of(rar, sizeof(rar))) >= 0)
		return "rar";
	return bytes_find(b, bytes_of(sevenzip, sizeof(sevenzip))) >= 0 ? "7z" : NULL;
}
