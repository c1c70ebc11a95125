/* SPDX-License-Identifier: MIT
 *
 * A non-blocking SMTP connection with buffers and optional TLS, for the load generator and the sink. One thread, one
 * epoll instance. Out of memory ends the program: these are tools.
 */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct octets {
	char *data;
	size_t off, len, cap; /* data[off..len) is what is there */
};

struct conn {
	int fd;	  /* -1: closed */
	SSL *ssl; /* NULL: in clear */
	bool handshaking;
	struct octets in, out;
	uint32_t events; /* what epoll watches */
	void *owner;	 /* epoll's data pointer */
};

/* Takes fd, which is non-blocking, and registers it. */
void conn_open(struct conn *c, int epoll, int fd, void *owner);
/* Closes at once; the buffers stay allocated for the next conn_open. */
void conn_close(struct conn *c);
void conn_free(struct conn *c);

void conn_put(struct conn *c, const void *p, size_t n);
void conn_putf(struct conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Write what can be written and watch for what is needed. False: the peer is gone. */
bool conn_flush(struct conn *c, int epoll);
/* Everything put has been handed to the kernel. */
bool conn_flushed(const struct conn *c);
/* Read all there is (the handshake included). False: the peer is gone; what came before stays readable. */
bool conn_fill(struct conn *c);
/* The next line without its CRLF (or LF), NUL-terminated, valid until the next call; NULL: none complete. */
char *conn_line(struct conn *c);
/* From here on TLS. What was read in clear is thrown away. */
void conn_tls(struct conn *c, SSL_CTX *ctx, bool server);

void *xrealloc(void *p, size_t n);
uint64_t now_us(void); /* CLOCK_REALTIME, so that logs of several programs compare */

#endif
