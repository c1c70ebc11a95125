/* SPDX-License-Identifier: MIT
 *
 * sekisho-audit-verify: the verifier of audit exports as one static file that asks nobody anything. The same is in
 * `sekisho audit verify`.
 */
#include "record/verify.h"

int
main(int argc, char **argv)
{
	int rc = record_verify_main(argc, argv, stdout, stderr);
	return fflush(stdout) == 0 ? rc : 2;
}
