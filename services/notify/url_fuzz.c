/* SPDX-License-Identifier: MIT
 *
 * Any octets as a webhook's address. What is taken must be taken again, and must never be a number that is refused.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct guard outside, inside;
	static bool made;
	struct err e;
	char host[URL_HOST_SIZE], out[URL_SIZE], again[URL_SIZE];
	if (!made && (guard_parse("", "443,8443", false, &outside, &e) != RC_OK ||
		      guard_parse("127.0.0.0/8", "any", true, &inside, &e) != RC_OK))
		abort();
	made = true;
	bool good = url_check(&outside, bytes_of(data, n), out, &e) == RC_OK;
	if (url_check(&inside, bytes_of(data, n), again, &e) != RC_OK && good)
		abort(); /* what strangers may, tests may */
	if (!good)
		return 0;
	if (url_check(&outside, bytes_str(out), again, &e) != RC_OK || strcmp(out, again) != 0)
		abort();
	url_host(out, host);
	struct in_addr number; /* however it was written */
	if (host[0] == '\0' || (inet_aton(host, &number) == 1 && (ntohl(number.s_addr) >> 24) == 127))
		abort();
	return 0;
}
