/* SPDX-License-Identifier: MIT
 *
 * prefix '_' 27 digits of base 62 (160 bits, most significant first) and 6 digits of the CRC-32 of all before them.
 */
#include "crypt/token.h"

#include <stdlib.h>

#include "core/id.h"
#include "crypt/crypt.h"
#include "crypt/secret.h"

#define RANDOM_OCTETS	20
#define RANDOM_DIGITS	27 /* 62^27 > 2^160 */
#define CHECKSUM_DIGITS 6  /* 62^6 > 2^32 */

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static uint32_t
crc32(const char *p, size_t n)
{
	uint32_t crc = 0xffffffffu;
	for (size_t i = 0; i < n; i++) {
		crc ^= (uint8_t)p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void
put_checksum(const char *body, size_t n, char out[CHECKSUM_DIGITS])
{
	uint32_t crc = crc32(body, n);
	for (int i = CHECKSUM_DIGITS - 1; i >= 0; i--) {
		out[i] = digits[crc % 62];
		crc /= 62;
	}
}

void
token_make(const char *prefix, char out[TOKEN_SIZE])
{
	uint8_t number[RANDOM_OCTETS];
	size_t at = strlen(prefix) + 1;
	if (at + RANDOM_DIGITS + CHECKSUM_DIGITS >= TOKEN_SIZE)
		abort();
	memcpy(out, prefix, at - 1);
	out[at - 1] = '_';
	random_bytes(number, sizeof(number));
	for (int d = RANDOM_DIGITS - 1; d >= 0; d--) {
		unsigned rest = 0;
		for (size_t i = 0; i < sizeof(number); i++) {
			unsigned v = rest << 8 | number[i];
			number[i] = (uint8_t)(v / 62);
			rest = v % 62;
		}
		out[at + (size_t)d] = digits[rest];
	}
	secret_wipe(number, sizeof(number));
	put_checksum(out, at + RANDOM_DIGITS, out + at + RANDOM_DIGITS);
	out[at + RANDOM_DIGITS + CHECKSUM_DIGITS] = 0;
}

static bool
is_digit(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool
token_well_formed(const char *prefix, struct bytes token)
{
	char checksum[CHECKSUM_DIGITS];
	size_t at = strlen(prefix) + 1;
	if (token.n != at + RANDOM_DIGITS + CHECKSUM_DIGITS || memcmp(token.p, prefix, at - 1) != 0 ||
	    token.p[at - 1] != '_')
		return false;
	for (size_t i = at; i < token.n; i++)
		if (!is_digit(token.p[i]))
			return false;
	put_checksum((const char *)token.p, at + RANDOM_DIGITS, checksum);
	return memcmp(checksum, token.p + at + RANDOM_DIGITS, CHECKSUM_DIGITS) == 0;
}

void
token_hash(struct bytes token, uint8_t out[32])
{
	crypt_sha256(token, out);
}
