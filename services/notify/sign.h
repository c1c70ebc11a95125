/* SPDX-License-Identifier: MIT
 *
 * Secrets and signatures of the Standard Webhooks specification, version 1 of its symmetric scheme: HMAC-SHA-256 over
 * "<id>.<timestamp>.<payload>" with the octets behind "whsec_". Pure but for the random octets of a new secret.
 */
#ifndef NOTIFY_SIGN_H
#define NOTIFY_SIGN_H

#include <stdint.h>

#include "core/bytes.h"
#include "core/rc.h"

#define SIGN_SECRET_OCTETS 32
#define SIGN_SECRET_SIZE   52 /* "whsec_", 44 characters, NUL */
#define SIGN_VALUE_SIZE	   48 /* "v1,", 44 characters, NUL */

void sign_secret_make(char out[SIGN_SECRET_SIZE]);
/* One signature. RC_INVALID if secret is not one that sign_secret_make() made. */
enum rc sign_value(struct bytes secret, const char *id, int64_t timestamp_s, struct bytes payload,
		   char out[SIGN_VALUE_SIZE], struct err *e) MUST_CHECK;

#endif
