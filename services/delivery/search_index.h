/* SPDX-License-Identifier: MIT
 *
 * The thread that keeps the search index: takes what waits when there is enough of it or it waited long enough, merges
 * small segments, and stays behind the mail while that is busy. Every instance has one.
 */
#ifndef DELIVERY_SEARCH_INDEX_H
#define DELIVERY_SEARCH_INDEX_H

#include "delivery.h"

struct search_index;
struct search_index *search_index_start(struct delivery *d);
void search_index_stop(struct search_index **i);

#endif
