/* SPDX-License-Identifier: MIT
 *
 * What the files of libs/content share.
 */
#ifndef CONTENT_CONTENT_INTERNAL_H
#define CONTENT_CONTENT_INTERNAL_H

#include "content/content.h"
#include "content/keys.h"

struct content {
	struct keys *keys;
};

#endif
