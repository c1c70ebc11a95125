/* SPDX-License-Identifier: MIT
 *
 * Result codes and error texts. Every fallible function returns an enum rc, is MUST_CHECK and, on anything but
 * RC_OK, fills a struct err with a text for people and the place it came from. Outputs (names ending in _r) are
 * untouched on failure. The invariant of mail is transient against permanent: rc_is_transient().
 */
#ifndef CORE_RC_H
#define CORE_RC_H

#include <stdbool.h>

#define MUST_CHECK	  __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum rc {
	RC_OK = 0,
	RC_INVALID, /* the caller's data are wrong; the same request will fail again */
	RC_DENIED,  /* known, and not allowed */
	RC_NOT_FOUND,
	RC_CONFLICT, /* somebody else was first; read again */
	RC_LIMIT,    /* a bound was met: size, count, rate */
	RC_RETRY,    /* a part is down or busy; the same request may succeed later */
	RC_INTERNAL, /* ours; reported as transient to the mail world, never as success */
};

struct err {
	enum rc rc;
	const char *file; /* static storage */
	int line;
	char text[256];
};

/* Names as used in logs and bus headers: "ok", "invalid", ... rc_parse returns RC_INTERNAL for an unknown name. */
const char *rc_str(enum rc rc);
enum rc rc_parse(const char *name);

/* RC_RETRY and RC_INTERNAL: try again later. Everything else is permanent for the same input. */
bool rc_is_transient(enum rc rc);

/* Fill e (which may be NULL) and return rc, so that `return err_set(e, RC_INVALID, "...")` reads in one line.
 * The macro records the caller's place. */
#ifdef __clang_analyzer__ /* it does not see that err_set_at() returns its rc */
#define err_set(e, rc_, ...) (err_set_at((e), (rc_), __FILE__, __LINE__, __VA_ARGS__), (rc_))
#else
#define err_set(e, rc_, ...) err_set_at((e), (rc_), __FILE__, __LINE__, __VA_ARGS__)
#endif
enum rc err_set_at(struct err *e, enum rc rc, const char *file, int line, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Put "context: " in front of the text that is there; returns e->rc (RC_INTERNAL when e is NULL). */
enum rc err_prefix(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
