/* SPDX-License-Identifier: MIT
 *
 * Follows libclamav through what it unpacks, layer by layer, to tell a container that was opened from one that was
 * passed over in silence (RAR without unrar, LZMA in a zip, a codec that 7z lacks).
 */
#ifndef SCAN_LAYERS_H
#define SCAN_LAYERS_H

#include "scan_finding.h"

#define LAYERS_MAX 64

enum layers_root {
	LAYERS_FILE,
	LAYERS_TEXT, /* a text body, which we have read: no container, but archives may stand in it */
	LAYERS_MAIL, /* a mail whose parts come by themselves */
};

struct layer {
	bool container, listed;
	uint32_t expected; /* members that should have become layers of their own */
	uint32_t children;
	const char *what; /* static storage */
};

struct layers {
	struct layer stack[LAYERS_MAX];
	size_t depth;
	struct findings *findings;
	const char *unopened; /* the first container that was passed over */
	bool only_7z_unopened;
	uint64_t octets_max; /* of one file unpacked */
	enum layers_root root;
};

void layers_begin(struct layers *l, struct findings *f, uint64_t octets_max, enum layers_root root);
/* A layer of libclamav's type ("CL_TYPE_ZIP") begins at level (0: outermost). */
void layers_enter(struct layers *l, const char *type, uint32_t level, struct bytes content);
/* The innermost open layer lists a member of that many octets. */
void layers_member(struct layers *l, uint64_t octets, const char *name, bool encrypted);
void layers_leave(struct layers *l);
/* alert: what the library reported of the whole, or NULL; it may explain why something was not opened. */
void layers_end(struct layers *l, const char *alert);

#endif
