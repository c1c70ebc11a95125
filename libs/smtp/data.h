/* SPDX-License-Identifier: MIT
 *
 * Message octets on the wire: dot-stuffing, the one end of DATA (CRLF.CRLF and nothing else), canonical lines. Bare CR
 * and bare LF never pass in either direction (SMTP smuggling).
 */
#ifndef SMTP_DATA_H
#define SMTP_DATA_H

#include <stdint.h>

#include "core/bytes.h"
#include "core/rc.h"

/* --- receiving -------------------------------------------------------------------------------------------- */
enum smtp_data_state { SMTP_DATA_BOL, SMTP_DATA_TEXT, SMTP_DATA_CR, SMTP_DATA_DOT, SMTP_DATA_DOT_CR };
struct smtp_data {
	enum smtp_data_state state;
	bool dots;	 /* DATA: undo dot-stuffing and look for the end. BDAT: neither */
	bool nul;	 /* a NUL octet was seen */
	uint64_t octets; /* decoded so far, whether kept or not */
};
void smtp_data_init(struct smtp_data *d, bool dots);
/* Decode in and append to out (NULL: count and throw away). SMTP_DONE: the end of DATA was read, *used_r octets of in
 * belonged to it. SMTP_BAD: a bare CR or LF; nothing after it can be trusted. SMTP_MORE: all of in was taken. A full
 * out shows in buf_ok(out). Any split of the input gives the same result. */
enum smtp_data_progress { SMTP_DATA_MORE, SMTP_DATA_DONE, SMTP_DATA_BAD };
enum smtp_data_progress smtp_data_decode(struct smtp_data *d, struct bytes in, struct buf *out, size_t *used_r);
/* BDAT, at the end of the last chunk: false if the message ends inside CRLF. *needs_crlf_r: does not end in CRLF. */
bool smtp_data_finish(const struct smtp_data *d, bool *needs_crlf_r) MUST_CHECK;

/* --- sending ---------------------------------------------------------------------------------------------- */
/* Dot-stuffs a canonical message piece by piece; smtp_dot_end() writes the last ".CRLF" (with a CRLF before it if the
 * message does not end in one). RC_INVALID on a bare CR or LF: nothing of the kind is ever sent. */
struct smtp_dot {
	bool bol, cr;
};
void smtp_dot_init(struct smtp_dot *d);
enum rc smtp_dot_encode(struct smtp_dot *d, struct bytes in, struct buf *out, struct err *e) MUST_CHECK;
enum rc smtp_dot_end(struct smtp_dot *d, struct buf *out, struct err *e) MUST_CHECK;

#endif
