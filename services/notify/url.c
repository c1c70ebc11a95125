/* SPDX-License-Identifier: MIT
 *
 * libcurl's URL parser, and what it is too friendly about.
 */
#include "url.h"

#include <curl/curl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/address.h"

#define BAD(...) err_set(e, RC_INVALID, "url: " __VA_ARGS__)

/* Octets that RFC 3986 has in a URL, and those of UTF-8. */
static bool
octets_ok(struct bytes url)
{
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= ' ' || url.p[i] == 0x7f || strchr("\"<>\\^`{|}", url.p[i]) != NULL)
			return false;
	return true;
}

static char *
part(CURLU *u, CURLUPart what, unsigned flags)
{
	char *s = NULL;
	return curl_url_get(u, what, &s, flags) == CURLUE_OK ? s : NULL;
}

static bool
is_ascii(const char *s)
{
	for (; s != NULL && *s != '\0'; s++)
		if ((*s & 0x80) != 0)
			return false;
	return true;
}

/* A host that is a number, however written, leads where it says. */
static enum rc
check_number(const struct guard *g, const char *host, const char *port, bool plain, struct err *e)
{
	char name[URL_HOST_SIZE];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV},
			*found = NULL;
	enum guard_verdict v = GUARD_OK;
	size_t n = strlen(host);
	snprintf(name, sizeof(name), "%s", host);
	if (host[0] == '[' && host[n - 1] == ']')
		snprintf(name, sizeof(name), "%.*s", (int)(n - 2), host + 1);
	n = strlen(name);
	while (n > 0 && name[n - 1] == '.')
		name[--n] = '\0';
	if (n == 0)
		return BAD("it has no host");
	if (getaddrinfo(name, port, &hints, &found) != 0)
		return RC_OK; /* a name */
	for (const struct addrinfo *a = found; a != NULL && v == GUARD_OK; a = a->ai_next)
		v = guard_judge(g, a->ai_addr, plain);
	freeaddrinfo(found);
	return v == GUARD_OK ? RC_OK : BAD("%s", guard_verdict_str(v));
}

static enum rc
check_parts(const struct guard *g, CURLU *u, struct err *e)
{
	char *scheme = part(u, CURLUPART_SCHEME, 0), *host = part(u, CURLUPART_HOST, 0);
	char *port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT), *zone = part(u, CURLUPART_ZONEID, 0);
	char *path = part(u, CURLUPART_PATH, 0), *query = part(u, CURLUPART_QUERY, 0);
	char *fragment = part(u, CURLUPART_FRAGMENT, 0), *user = part(u, CURLUPART_USER, 0);
	char *password = part(u, CURLUPART_PASSWORD, 0), *options = part(u, CURLUPART_OPTIONS, 0);
	bool plain = scheme != NULL && strcmp(scheme, "http") == 0;
	enum rc rc = RC_OK;
	if (scheme == NULL || (strcmp(scheme, "https") != 0 && !(plain && g->http)))
		rc = BAD("it must begin with https://");
	else if (user != NULL || password != NULL || options != NULL)
		rc = BAD("no user name or password may stand in it");
	else if (fragment != NULL)
		rc = BAD("no fragment may stand in it");
	else if (host == NULL || host[0] == '\0' || strlen(host) >= URL_HOST_SIZE || !is_ascii(host))
		rc = BAD("its host is none");
	else if (zone != NULL)
		rc = BAD("no zone may stand in it");
	else if (port == NULL || !guard_port_allowed(g, (unsigned)strtoul(port, NULL, 10)))
		rc = BAD("its port is not one of those allowed");
	else if (!is_ascii(path) || !is_ascii(query))
		rc = BAD("path and query must be percent-encoded");
	else
		rc = check_number(g, host, port, plain, e);
	char *const all[] = {scheme, host, port, zone, path, query, fragment, user, password, options};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		curl_free(all[i]);
	return rc;
}

/* libcurl would convert by the locale of the process, at each use. */
static enum rc
make_ascii(CURLU *u, struct err *e)
{
	char ascii[SMTP_ASCII_DOMAIN_SIZE];
	char *host = part(u, CURLUPART_HOST, 0);
	enum rc rc = RC_OK;
	if (!is_ascii(host)) {
		rc = smtp_domain_ascii(bytes_str(host), ascii, e);
		if (rc != RC_OK || curl_url_set(u, CURLUPART_HOST, ascii, 0) != CURLUE_OK)
			rc = BAD("its host is none");
	}
	curl_free(host);
	return rc;
}

enum rc
url_check(const struct guard *g, struct bytes url, char out[URL_SIZE], struct err *e)
{
	if (url.n == 0 || url.n > NOTIFY_URL_MAX)
		return BAD("between 1 and %d octets", NOTIFY_URL_MAX);
	if (!octets_ok(url))
		return BAD("an octet that may not stand in one");
	char text[URL_SIZE];
	memcpy(text, url.p, url.n);
	text[url.n] = '\0';
	/* libcurl takes "https:/host" and "https:///host" for https://host. */
	const char *rest = strstr(text, "://");
	if (rest == NULL || rest[3] == '/' || rest[3] == '\0')
		return BAD("it must begin with https://");
	CURLU *u = curl_url();
	if (u == NULL)
		abort();
	enum rc rc = curl_url_set(u, CURLUPART_URL, text, 0) == CURLUE_OK ? make_ascii(u, e) : BAD("it is none");
	if (rc == RC_OK)
		rc = check_parts(g, u, e);
	char *whole = rc == RC_OK ? part(u, CURLUPART_URL, 0) : NULL;
	if (rc == RC_OK && (whole == NULL || strlen(whole) > NOTIFY_URL_MAX))
		rc = BAD("it is too long");
	if (rc == RC_OK)
		snprintf(out, URL_SIZE, "%s", whole);
	curl_free(whole);
	curl_url_cleanup(u);
	return rc;
}

void
url_host(const char *url, char out[URL_HOST_SIZE])
{
	CURLU *u = curl_url();
	out[0] = '\0';
	if (u == NULL)
		abort();
	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
		char *host = part(u, CURLUPART_HOST, 0);
		if (host != NULL)
			snprintf(out, URL_HOST_SIZE, "%s", host);
		curl_free(host);
	}
	curl_url_cleanup(u);
}
