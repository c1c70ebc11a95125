/* SPDX-License-Identifier: MIT
 *
 * What a submission says: envelope and message, read from JSON (and built) or from raw MIME with its envelope beside
 * it. Pure: the same document and id give the same octets.
 */
#ifndef API_SUBMISSION_H
#define API_SUBMISSION_H

#include "core/arena.h"
#include "json_in.h"
#include "mime.h"

#define SUBMISSION_RECIPIENTS_MAX  1000
#define SUBMISSION_ATTACHMENTS_MAX 100

struct submission {
	struct bytes sender;
	struct bytes *recipients; /* no address twice */
	size_t n_recipients;
	struct buf message; /* owned: CRLF line ends only */
};

void submission_done(struct submission *s);
/* Reads a document of schema Submission (docs/openapi.yaml). Problems go to in, with pointers; then the message is not
 * built. RC_LIMIT: the message would be larger than max octets. */
enum rc submission_from_json(struct json_in *in, struct arena *a, const json_t *document, const struct uuid *id,
			     size_t max, struct submission *out_r, struct err *e) MUST_CHECK;
/* recipients: addr-specs with commas between them. Err text names what is wrong. */
enum rc submission_add_list(struct arena *a, const char *recipients, struct submission *s, struct err *e) MUST_CHECK;
enum rc submission_add_recipient(struct arena *a, struct bytes address, struct submission *s, struct err *e) MUST_CHECK;
/* An addr-spec as it goes on: a domain in U-labels becomes A-labels where the local part is ASCII (no SMTPUTF8 is
 * needed then). */
enum rc submission_address(struct arena *a, struct bytes text, struct bytes *out_r, struct err *e) MUST_CHECK;
/* No bare CR or LF, and CRLF at the end. */
bool submission_lines_ok(struct bytes message) MUST_CHECK;

#endif
