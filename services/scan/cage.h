/* SPDX-License-Identifier: MIT
 *
 * The cage itself: what a process gives up before it looks at hostile bytes. After cage_enter() it can compute, use the
 * descriptors it holds, and make files in its own folder; opening anything else, sockets, exec, ptrace fail or kill it.
 */
#ifndef SCAN_CAGE_H
#define SCAN_CAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rc.h"

struct cage {
	const char *folder;    /* absolute; made if absent */
	int64_t folder_octets; /* bound of the folder, as tmpfs where that is allowed, else of each file */
	int64_t memory_octets; /* address space on top of what is mapped now */
	int64_t files;	       /* open descriptors */
};

/* Makes the folder, as a tmpfs in a mount namespace of this process's own if the kernel allows (*tmpfs_r). */
enum rc cage_make_folder(const struct cage *c, bool *tmpfs_r, struct err *e) MUST_CHECK;
/* For good. Landlock and seccomp must both take effect; otherwise RC_INTERNAL and the process must not scan. */
enum rc cage_enter(const struct cage *c, struct err *e) MUST_CHECK;
/* Removes everything in the folder, to any depth; false if something stayed. */
bool cage_empty_folder(const char *folder);

#endif
