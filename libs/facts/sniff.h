/* SPDX-License-Identifier: MIT
 *
 * What a file is by its first octets.
 */
#ifndef FACTS_SNIFF_H
#define FACTS_SNIFF_H

#include "core/bytes.h"

/* A media type, "text/plain" or "application/octet-stream" when nothing else fits. Static storage. */
const char *sniff_type(struct bytes b);
/* The name of a container that libclamav does not open ("rar", "zstd"), or NULL. Static storage. */
const char *sniff_opaque(struct bytes b);
/* Nothing but a text by its first octets, in a charset that keeps ASCII. */
bool sniff_is_text(struct bytes b);

#endif
