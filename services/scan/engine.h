/* SPDX-License-Identifier: MIT
 *
 * libclamav behind a small door; no other file of the cage includes <clamav.h>. One engine per process generation,
 * built before the workers are forked and shared copy-on-write with them. Not thread-safe: one scan at a time.
 *
 * A return of 0 from libclamav is not "clean": engine_scan() also looks at warnings, and at every container that was
 * seen but not opened, and says so in its findings.
 */
#ifndef SCAN_ENGINE_H
#define SCAN_ENGINE_H

#include "core/arena.h"
#include "core/bytes.h"
#include "scan_finding.h"

struct engine;

struct engine_limits {
	int64_t scan_ms;     /* one message; libclamav gives up by itself shortly before the worker is killed */
	int64_t file_octets; /* the largest thing unpacked */
	int64_t scan_octets; /* everything unpacked from one part */
};

/* Loads every signature file in folder. RC_NOT_FOUND: there is none. Takes seconds and hundreds of MB with real ones.
 */
enum rc engine_load(const char *folder, const struct engine_limits *limits, struct engine **out_r,
		    struct err *e) MUST_CHECK;
void engine_free(struct engine **engine);
/* Where this process may write while scanning; after fork, before the first scan. */
enum rc engine_set_folder(struct engine *engine, const char *folder, struct err *e) MUST_CHECK;

uint64_t engine_signatures(const struct engine *engine);
/* "clamav 1.4.6/27500": library and version of the signatures (0: none given). */
const char *engine_name(const struct engine *engine);
/* Wall time of the signatures in folder: of daily.cvd or daily.cld where there is one, from its own header, else of the
 * newest file that holds any; 0: no files. And a number that changes when any of the files does. Both without an
 * engine.
 */
int64_t engine_folder_time_us(const char *folder);
uint64_t engine_folder_print(const char *folder);

enum engine_as {
	ENGINE_MESSAGE,	    /* a mail that we read ourselves: libclamav does not parse it as one */
	ENGINE_MESSAGE_ODD, /* a mail that we do not trust our own reading of: libclamav's reading too */
	ENGINE_TEXT,	    /* a text body: what looks like a mail in it is a quotation */
	ENGINE_FILE,
};
/* Scans b, adding to findings. Mails found inside (an .eml in a zip) are copied to findings->mails for the caller to
 * look at. */
void engine_scan(struct engine *engine, struct bytes b, enum engine_as as, struct findings *findings);

#endif
