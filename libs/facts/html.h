/* SPDX-License-Identifier: MIT
 *
 * HTML to the text a reader sees, near enough for keywords: tags, comments, scripts and styles go, entities are
 * resolved, blocks end a line. Tags inside a word do not split it.
 */
#ifndef FACTS_HTML_H
#define FACTS_HTML_H

#include "core/arena.h"
#include "core/bytes.h"

struct bytes html_to_text(struct bytes utf8, struct arena *a);

#endif
