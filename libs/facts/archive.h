/* SPDX-License-Identifier: MIT
 *
 * Tables of contents of the containers whose directories are simple enough to be read twice. Nothing is unpacked; all
 * offsets are hostile and checked. A directory that two readers could read differently is not read but broken.
 */
#ifndef FACTS_ARCHIVE_H
#define FACTS_ARCHIVE_H

#include "core/bytes.h"

enum archive_state {
	ARCHIVE_NONE,	/* no such container */
	ARCHIVE_LISTED, /* out_r is what every reader finds */
	ARCHIVE_BROKEN, /* one that we cannot list to its end, or that holds more than its list says */
};

struct archive_list {
	uint32_t members;    /* files larger than the given bound that libclamav can open */
	uint32_t unreadable; /* of a compression method it cannot */
	uint32_t encrypted;
	uint64_t base; /* zip: what stands before it */
};

/* A zip that ends where b ends, wherever it begins. Listed: one end record, which ends with its comment at b's end; the
 * directory ends at the record, and every local header has its entry (APPNOTE.TXT 4.3). */
enum archive_state archive_list_zip(struct bytes b, uint32_t ignore_octets, struct archive_list *out_r) MUST_CHECK;
/* Attachments of a winmail.dat (MS-OXTNEF); the message's own attributes are not members. */
enum archive_state archive_list_tnef(struct bytes b, uint32_t ignore_octets, struct archive_list *out_r) MUST_CHECK;
/* Up to two blocks of zeros (POSIX ustar) and nothing but zeros behind them. */
enum archive_state archive_list_tar(struct bytes b, uint32_t ignore_octets, struct archive_list *out_r) MUST_CHECK;
/* The gzip trailer says that at most that many octets are inside (RFC 1952), and the file is too short to lie. */
bool archive_gzip_is_tiny(struct bytes b, uint32_t ignore_octets) MUST_CHECK;
/* No gzip stream of b is followed by zeros and then something else: some readers stop at the padding, some read on.
 * False too when the streams hold more than octets_max. A stream that is broken ends the walk. */
bool archive_gzip_pads_no_stream(struct bytes b, uint64_t octets_max) MUST_CHECK;
/* The first bzip2 stream of b ends where b ends: no octets behind it, no second stream. */
bool archive_bzip2_is_single(struct bytes b) MUST_CHECK;
/* Name of an archive that begins somewhere in b behind anything else ("rar", "7z"), or NULL. Static storage. */
const char *archive_find_embedded(struct bytes b);

#endif
