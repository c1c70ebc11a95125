/* SPDX-License-Identifier: MIT
 *
 * Any JSON to a message: no crash, and what is built has CRLF line ends only, no line over 998 octets, no NUL, and no
 * header field but our own before the empty line.
 */
#include <stdlib.h>
#include <string.h>

#include "submission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_ours(struct bytes line)
{
	static const char *const fields[] = {"From: ",	       "Reply-To: ",	 "To: ",
					     "Cc: ",	       "Subject: ",	 "Message-ID:",
					     "MIME-Version: ", "Content-Type: ", "Content-Transfer-Encoding: "};
	if (line.p[0] == ' ')
		return true;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (line.n >= strlen(fields[i]) && memcmp(line.p, fields[i], strlen(fields[i])) == 0)
			return true;
	return false;
}

static void
check(struct bytes m)
{
	if (!submission_lines_ok(m) || memchr(m.p, 0, m.n) != NULL)
		abort();
	bool header = true;
	for (size_t at = 0; at < m.n;) {
		size_t end = at;
		while (m.p[end] != '\r')
			end++;
		if (end - at > 998)
			abort();
		if (end == at)
			header = false;
		if (header && !is_ours(bytes_of(m.p + at, end - at)))
			abort();
		at = end + 2;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct uuid id = {{7}};
	struct err e;
	json_t *document = NULL;
	if (json_in_parse(bytes_of(data, size), 20000, &document, &e) != RC_OK)
		return 0;
	struct arena *a = arena_new();
	struct json_in in;
	struct submission s = {0};
	enum rc rc = submission_from_json(&in, a, document, &id, 1 << 20, &s, &e);
	if (rc == RC_OK && !in.failed)
		check(buf_bytes(&s.message));
	submission_done(&s);
	arena_free(&a);
	json_decref(document);
	return 0;
}
