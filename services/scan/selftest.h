/* SPDX-License-Identifier: MIT
 *
 * A worker proves that it still sees: EICAR, deflated in a zip in a zip, base64 in a mail.
 */
#ifndef SCAN_SELFTEST_H
#define SCAN_SELFTEST_H

#include "engine.h"

struct selftest;

/* The mail is composed at run time, so that neither source nor binary trips a scanner. */
struct selftest *selftest_new(void);

enum selftest_result {
	SELFTEST_PASSED,
	SELFTEST_BLIND,	   /* did not find it in the mail */
	SELFTEST_NO_EICAR, /* does not know it even in plain sight */
};
enum selftest_result selftest_run(const struct selftest *t, struct engine *engine);

#endif
