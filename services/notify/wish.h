/* SPDX-License-Identifier: MIT
 *
 * What people may ask of a webhook: checked before anything else. Pure.
 */
#ifndef NOTIFY_WISH_H
#define NOTIFY_WISH_H

#include "url.h"

/* Each RC_INVALID with a text that begins with the field. */
enum rc wish_description(const char *text, struct err *e) MUST_CHECK;
enum rc wish_types(char *const *types, size_t n, struct err *e) MUST_CHECK;

#endif
