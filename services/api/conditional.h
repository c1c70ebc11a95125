/* SPDX-License-Identifier: MIT
 *
 * Conditional requests (RFC 9110 sections 8.8.3 and 13) and what a client accepts (section 12.5.1). An ETag is "7" for
 * version 7, or "7-<hash>" where the representation holds more than the version counts. Pure.
 */
#ifndef API_CONDITIONAL_H
#define API_CONDITIONAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

enum conditional {
	CONDITIONAL_NONE,    /* no such header */
	CONDITIONAL_ANY,     /* "*" */
	CONDITIONAL_VERSION, /* exactly one tag, of ours */
	CONDITIONAL_NEVER,   /* a tag, but none that can be of this resource: weak, or
				not made by us */
	CONDITIONAL_BAD,     /* not one entity tag */
};
/* If-Match. A list of several tags is BAD: a service is told one version. */
enum conditional conditional_match(const char *header, uint64_t *version_r);
/* If-None-Match against the tag of what would be sent, compared weakly: is it there? Rubbish is not. */
bool conditional_none_match(const char *header, const char *etag);

/* "7", or with a body whose hash belongs in "7-<hash>"; version 0 with a body: "<hash>". */
const char *conditional_etag(struct arena *a, uint64_t version, struct bytes body);

/* Does an Accept header let this media type ("application/json") through? Absent or empty: yes. */
bool conditional_accepts(const char *accept, const char *type);

#endif
