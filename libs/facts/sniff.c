/* SPDX-License-Identifier: MIT
 *
 * Two tables of magic octets. No state.
 */
#include "facts/sniff.h"

#define TEXT_LOOK 4096

struct magic {
	uint32_t at;
	const char *octets;
	uint32_t n;
	const char *name;
};

#define MAGIC(at, octets, name)                                                                                        \
	{                                                                                                              \
		at, octets, sizeof(octets) - 1, name                                                                   \
	}

static const struct magic types[] = {
    MAGIC(0, "%PDF-", "application/pdf"),
    MAGIC(0, "\x89PNG\r\n\x1a\n", "image/png"),
    MAGIC(0, "\xff\xd8\xff", "image/jpeg"),
    MAGIC(0, "GIF8", "image/gif"),
    MAGIC(0, "BM", "image/bmp"),
    MAGIC(0, "II*\0", "image/tiff"),
    MAGIC(0, "MM\0*", "image/tiff"),
    MAGIC(8, "WEBP", "image/webp"),
    MAGIC(0, "PK\3\4", "application/zip"),
    MAGIC(0, "PK\5\6", "application/zip"),
    MAGIC(0, "Rar!\x1a\x07", "application/vnd.rar"),
    MAGIC(0, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    MAGIC(0, "\x1f\x8b", "application/gzip"),
    MAGIC(0, "BZh", "application/x-bzip2"),
    MAGIC(0, "\xfd\x37zXZ\0", "application/x-xz"),
    MAGIC(0, "MSCF", "application/vnd.ms-cab-compressed"),
    MAGIC(257, "ustar", "application/x-tar"),
    MAGIC(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    MAGIC(0, "{\\rtf", "application/rtf"),
    MAGIC(0, "MZ", "application/vnd.microsoft.portable-executable"),
    MAGIC(0,
	  "\x7f"
	  "ELF",
	  "application/x-elf"),
    MAGIC(0, "#!", "text/x-script"),
    MAGIC(0, "\x78\x9f\x3e\x22", "application/vnd.ms-tnef"),
    MAGIC(0, "<?xml", "application/xml"),
    MAGIC(0, "ITSF", "application/vnd.ms-htmlhelp"),
    MAGIC(0, "L\0\0\0\1\x14\2\0", "application/x-ms-shortcut"),
    MAGIC(4, "ftyp", "video/mp4"),
    MAGIC(0, "ID3", "audio/mpeg"),
    MAGIC(0, "OggS", "application/ogg"),
    MAGIC(32769, "CD001", "application/x-iso9660-image"),
};

static const struct magic opaque[] = {
    MAGIC(0, "Rar!\x1a\x07", "rar"),
    MAGIC(7, "**ACE**", "ace"),
    MAGIC(0, "\x28\xb5\x2f\xfd", "zstd"),
    MAGIC(0, "\x04\x22\x4d\x18", "lz4"),
    MAGIC(0, "\x1f\x9d", "compress"),
    MAGIC(0, "\x1f\xa0", "compress"),
    MAGIC(0, "LZIP", "lzip"),
    MAGIC(0, "LRZI", "lrzip"),
    MAGIC(0, "\x89LZO\0\r\n\x1a\n", "lzop"),
    MAGIC(0, "\x5d\0\0", "lzma"),
    MAGIC(20, "\xdc\xa7\xc4\xfd", "zoo"),
    MAGIC(0, "StuffIt", "stuffit"),
    MAGIC(0, "SIT!", "stuffit"),
    MAGIC(0, "MSWIM\0\0\0", "wim"),
    MAGIC(0, "\xed\xab\xee\xdb", "rpm"),
    MAGIC(0, "!<arch>\n", "ar"),
    MAGIC(0, "vhdxfile", "vhdx"),
    MAGIC(0, "conectix", "vhd"),
    MAGIC(0, "KDMV", "vmdk"),
    MAGIC(0, "QFI\xfb", "qcow"),
    MAGIC(0, "hsqs", "squashfs"),
    MAGIC(0, "UHA", "uharc"),
    MAGIC(14,
	  "\x1a"
	  "Jar\x1b",
	  "jar archive"),
};

static const char *
match(const struct magic *v, size_t n, struct bytes b)
{
	for (size_t i = 0; i < n; i++)
		if (b.n >= (size_t)v[i].at + v[i].n && memcmp(b.p + v[i].at, v[i].octets, v[i].n) == 0)
			return v[i].name;
	return NULL;
}

static bool
begins_html(struct bytes b)
{
	static const char *const tags[] = {"<!doctype html", "<html", "<head", "<body"};
	size_t i = 0;
	while (i < b.n && (b.p[i] == ' ' || (b.p[i] >= '\t' && b.p[i] <= '\r')))
		i++;
	for (size_t k = 0; k < sizeof(tags) / sizeof(tags[0]); k++) {
		struct bytes head, tag = bytes_str(tags[k]);
		if (bytes_slice(b, i, tag.n, &head) && bytes_ieq(head, tag))
			return true;
	}
	return false;
}

/* Besides line ends and tabs: shifts and escapes of charsets, form feeds, the end of a DOS text. */
static bool
looks_printable(struct bytes b)
{
	for (size_t i = 0; i < b.n && i < TEXT_LOOK; i++)
		if (b.p[i] < 0x20 && (b.p[i] < '\b' || b.p[i] > 0x0f) && b.p[i] != 0x1a && b.p[i] != 0x1b)
			return false;
	return true;
}

const char *
sniff_type(struct bytes b)
{
	const char *type = match(types, sizeof(types) / sizeof(types[0]), b);
	if (type != NULL)
		return type;
	if (begins_html(b))
		return "text/html";
	return looks_printable(b) ? "text/plain" : "application/octet-stream";
}

const char *
sniff_opaque(struct bytes b)
{
	return match(opaque, sizeof(opaque) / sizeof(opaque[0]), b);
}

/* Two or three letters ("BM", "MZ", "ID3") begin many a text; a longer sign does not. */
bool
sniff_is_text(struct bytes b)
{
	static const char *const longer[] = {"%PDF-", "{\\rtf", "GIF8", "MSCF", "ITSF", "7z\xbc\xaf", "BZh9", "OggS"};
	for (size_t i = 0; i < sizeof(longer) / sizeof(longer[0]); i++) {
		struct bytes sign = bytes_str(longer[i]);
		if (b.n >= sign.n && memcmp(b.p, sign.p, sign.n) == 0)
			return false;
	}
	return sniff_opaque(b) == NULL && looks_printable(b);
}
