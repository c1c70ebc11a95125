/* SPDX-License-Identifier: MIT
 *
 * From our reading of a message to its facts, all but the verdict.
 */
#ifndef FACTS_EXTRACT_H
#define FACTS_EXTRACT_H

#include "facts/mime.h"

/* Fills f; everything lives in m's arena or points into the message. Within all bounds of mail/facts.h. */
void extract_facts(const struct mime *m, struct facts *f);
/* Opens what is opened once, before the cage closes. */
void extract_preload(void);

#endif
