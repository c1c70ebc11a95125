/* SPDX-License-Identifier: MIT
 *
 * The second reading: GMime's. Where it differs from ours, other readers will differ too, and the message is ambiguous.
 */
#ifndef FACTS_MIME_SECOND_H
#define FACTS_MIME_SECOND_H

#include "facts/mime.h"

/* Reports FACTS_AMBIGUOUS through m's report when GMime finds other parts or other contents. */
void mime_second_compare(const struct mime *m);
void mime_second_preload(void);

#endif
