/* SPDX-License-Identifier: MIT
 *
 * One message from octets to facts: our reading, GMime's, libclamav's, and the verdict. Pure but for the engine.
 */
#ifndef SCAN_INSPECT_H
#define SCAN_INSPECT_H

#include "engine.h"

/* Facts live in a and point into msg. *anomaly_r: the worker should retire after this. */
struct facts *inspect_message(struct engine *engine, struct bytes msg, struct arena *a, bool *anomaly_r);
/* Loads what is loaded at first use (converters, digests), before the cage closes. */
void inspect_preload(void);

#endif
