/* SPDX-License-Identifier: MIT
 *
 * SMTP load generator: N connections, M mails, each with an id of its own that the sink finds again. What the server
 * answered is written per id; the account is exact: an id is "ok" only after a 250 to its final dot, "lost" when the
 * connection went away or timed out after the dot was sent (the server may or may not have it), and everything else
 * was certainly not accepted. With --retry a mail that was not accepted is tried again under a new id until M mails
 * are.
 *
 * Log, one line per id: id class code dot_us reply_us, where class is ok, temp, perm, lost or none (connection gone
 * before the dot). A summary as JSON goes to stdout.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "mail.h"

enum step { CLOSED, CONNECTING, BANNER, EHLO, STARTTLS, AUTH, ENVELOPE, DOT, IDLE };
enum class { OK, TEMP, PERM, LOST, NONE, CLASSES };
static const char *const class_names[] = {"ok", "temp", "perm", "lost", "none"};

struct client {
	struct conn conn;
	enum step step;
	uint64_t since_us; /* last progress */
	uint64_t retry_us; /* closed: when to connect again */
	unsigned on_conn;  /* mails on this connection */
	bool tls_done, pipelining;
	int expect;  /* envelope: replies still to come: 3 MAIL, 2 RCPT, 1 DATA */
	int refused; /* envelope: first code that was not 2xx */
	char id[96];
	struct mail mail;
	uint64_t dot_us;
};

static struct {
	const char *host, *from, *to, *user, *password, *prefix, *log_path;
	int port;
	unsigned conns, per_conn, idle;
	uint64_t mails, seed, timeout_us, limit_us;
	size_t size;
	bool attachment, starttls, tls, retry, spread;
} opt = {.host = "127.0.0.1",
	 .from = "sender@bench.example",
	 .to = "recipient@sink.example",
	 .prefix = "b",
	 .conns = 50,
	 .per_conn = 100,
	 .mails = 1000,
	 .seed = 1,
	 .timeout_us = 120000000,
	 .limit_us = 3600000000u,
	 .size = 4096,
	 .port = 25};

static int epoll;
static SSL_CTX *tls;
static FILE *ids;
static uint64_t started, begun, counts[CLASSES], first_us, last_us, idle_ready;
static uint64_t *latencies;
static size_t latency_count, latency_cap;
static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = sig;
}

static void
account(struct client *c, enum class class, int code)
{
	uint64_t now = now_us();

	counts[class]++;
	if (class == OK) {
		if (latency_count == latency_cap) {
			latency_cap = latency_cap ? latency_cap * 2 : 65536;
			latencies = xrealloc(latencies, latency_cap * sizeof *latencies);
		}
		latencies[latency_count++] = now - c->dot_us;
		last_us = now;
	}
	if (ids)
		fprintf(ids, "%s %s %d %llu %llu\n", c->id, class_names[class], code, (unsigned long long)c->dot_us,
			(unsigned long long)now);
	if (class != OK && opt.retry)
		begun--;
}

/* The connection is gone or of no more use. */
static void
drop(struct client *c, uint64_t wait_us)
{
	if (c->step == DOT && !c->refused)
		account(c, conn_flushed(&c->conn) ? LOST : NONE, 0);
	else if (c->step == ENVELOPE || c->step == DOT)
		account(c, NONE, c->refused);
	conn_close(&c->conn);
	c->step = CLOSED;
	c->retry_us = now_us() + wait_us;
}

static void
dial(struct client *c, unsigned number)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0) {
		perror("socket");
		exit(71);
	}
	if (inet_pton(AF_INET, opt.host, &a.sin_addr) != 1) {
		fprintf(stderr, "--host wants an IPv4 address\n");
		exit(64);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (opt.spread) { /* many source addresses of loopback, against limits per address */
		struct sockaddr_in s = {.sin_family = AF_INET};

		s.sin_addr.s_addr = htonl(0x7f010000u + number % 250 + 1);
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		if (bind(fd, (struct sockaddr *)&s, sizeof s) != 0)
			perror("bind");
	}
	if (!first_us)
		first_us = now_us();
	c->since_us = now_us();
	c->step = CONNECTING;
	c->on_conn = 0;
	c->tls_done = false;
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0 && errno != EINPROGRESS) {
		close(fd);
		c->conn.fd = -1;
		c->step = CLOSED;
		c->retry_us = now_us() + 100000;
		return;
	}
	conn_open(&c->conn, epoll, fd, c);
	c->step = BANNER;
	if (opt.tls) {
		conn_tls(&c->conn, tls, false);
		c->tls_done = true;
		if (!conn_flush(&c->conn, epoll))
			drop(c, 100000);
	}
}

static void
say_auth(struct client *c)
{
	unsigned char plain[512], encoded[700];
	int n = snprintf((char *)plain, sizeof plain, "%c%s%c%s", 0, opt.user, 0, opt.password);

	EVP_EncodeBlock(encoded, plain, n);
	conn_putf(&c->conn, "AUTH PLAIN %s\r\n", encoded);
	c->step = AUTH;
}

static void
next_mail(struct client *c)
{
	struct mail_shape shape = {opt.size, opt.attachment, opt.from, opt.to};

	if (opt.idle) {
		c->step = IDLE;
		idle_ready++;
		return;
	}
	if (begun >= opt.mails || stop) {
		conn_put(&c->conn, "QUIT\r\n", 6);
		c->step = IDLE;
		return;
	}
	if (c->on_conn++ >= opt.per_conn) {
		drop(c, 0);
		return;
	}
	begun++;
	snprintf(c->id, sizeof c->id, "%s-%llu", opt.prefix, (unsigned long long)started++);
	mail_make(&c->mail, &shape, c->id, opt.seed, started);
	c->refused = 0;
	c->dot_us = 0;
	c->expect = 3;
	c->step = ENVELOPE;
	conn_putf(&c->conn, "MAIL FROM:<%s> SIZE=%zu\r\n", opt.from, c->mail.len);
	if (c->pipelining)
		conn_putf(&c->conn, "RCPT TO:<%s>\r\nDATA\r\n", opt.to);
}

static void
on_envelope(struct client *c, int code)
{
	int was = c->expect--;

	if (was > 1) {
		if (code / 100 != 2 && !c->refused)
			c->refused = code;
		if (!c->pipelining && !c->refused)
			conn_putf(&c->conn, was == 3 ? "RCPT TO:<%s>\r\n" : "DATA\r\n%.0s", opt.to);
		else if (!c->pipelining)
			c->expect = 0;
		if (c->expect > 0)
			return;
	}
	if (was == 1 && code == 354) {
		if (!c->refused)
			conn_put(&c->conn, c->mail.data, c->mail.len);
		conn_put(&c->conn, ".\r\n", 3);
		c->step = DOT;
		return;
	}
	if (!c->refused)
		c->refused = code;
	account(c, c->refused / 100 == 4 ? TEMP : PERM, c->refused);
	c->step = BANNER;
	drop(c, 100000);
}

static void
on_dot(struct client *c, int code)
{
	c->step = IDLE;
	if (c->refused) /* an empty message after a refused envelope: whatever the answer, the mail did not go */
		account(c, c->refused / 100 == 4 ? TEMP : PERM, c->refused);
	else
		account(c, code == 250 ? OK : code / 100 == 4 ? TEMP : PERM, code);
	if (code != 250) {
		drop(c, 50000);
		return;
	}
	next_mail(c);
}

static void
on_reply(struct client *c, int code, const char *line, bool last)
{
	c->since_us = now_us();
	if (c->step == EHLO && strcasestr(line, "PIPELINING"))
		c->pipelining = true;
	if (!last)
		return;
	switch (c->step) {
	case BANNER:
		if (code != 220) {
			drop(c, 100000);
			return;
		}
		conn_put(&c->conn, "EHLO bench.example\r\n", 20);
		c->pipelining = false;
		c->step = EHLO;
		return;
	case EHLO:
		if (code != 250) {
			drop(c, 100000);
		} else if (opt.starttls && !c->tls_done) {
			conn_put(&c->conn, "STARTTLS\r\n", 10);
			c->step = STARTTLS;
		} else if (opt.user) {
			say_auth(c);
		} else {
			next_mail(c);
		}
		return;
	case STARTTLS:
		if (code != 220) {
			drop(c, 100000);
			return;
		}
		conn_tls(&c->conn, tls, false);
		c->tls_done = true;
		conn_put(&c->conn, "EHLO bench.example\r\n", 20);
		c->pipelining = false;
		c->step = EHLO;
		return;
	case AUTH:
		if (code != 235) {
			drop(c, 200000);
			return;
		}
		next_mail(c);
		return;
	case ENVELOPE:
		on_envelope(c, code);
		return;
	case DOT:
		on_dot(c, code);
		return;
	case IDLE: /* the answer to QUIT, or 421 */
		drop(c, 50000);
		return;
	default:
		return;
	}
}

static void
serve(struct client *c)
{
	bool alive = conn_fill(&c->conn);
	char *line;

	while (c->conn.fd >= 0 && !c->conn.handshaking && (line = conn_line(&c->conn)))
		if (strlen(line) >= 3)
			on_reply(c, atoi(line), line, line[3] != '-');
	if (c->conn.fd >= 0 && (!alive || !conn_flush(&c->conn, epoll)))
		drop(c, 50000);
	if (c->conn.fd >= 0 && c->step == DOT && !c->dot_us && conn_flushed(&c->conn))
		c->dot_us = now_us();
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double
quantile_ms(double q)
{
	size_t i = (size_t)(q * (double)latency_count);

	return latency_count ? (double)latencies[i < latency_count ? i : latency_count - 1] / 1000.0 : 0;
}

static void
report(void)
{
	qsort(latencies, latency_count, sizeof *latencies, by_value);
	printf("{\"ok\": %llu, \"temp\": %llu, \"perm\": %llu, \"lost\": %llu, \"none\": %llu, \"first_us\": %llu, "
	       "\"last_us\": %llu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
	       (unsigned long long)counts[OK], (unsigned long long)counts[TEMP], (unsigned long long)counts[PERM],
	       (unsigned long long)counts[LOST], (unsigned long long)counts[NONE], (unsigned long long)first_us,
	       (unsigned long long)last_us, quantile_ms(0.50), quantile_ms(0.99), quantile_ms(1.0));
}

/* Connect, time out, and tell whether anything is still to be done. */
static bool
tend(struct client *clients)
{
	uint64_t now = now_us();
	bool work = begun < opt.mails || opt.idle, busy = false;

	for (unsigned i = 0; i < opt.conns; i++) {
		struct client *c = &clients[i];

		if (c->step == CLOSED && c->retry_us <= now && work && !stop)
			dial(c, i);
		else if (c->step != CLOSED && !opt.idle && now > c->since_us + opt.timeout_us)
			drop(c, 0);
		busy = busy || (c->step != CLOSED && c->step != IDLE);
	}
	if (opt.idle && idle_ready == opt.conns) {
		printf("{\"idle\": %llu}\n", (unsigned long long)idle_ready);
		fflush(stdout);
		idle_ready = 0;
	}
	return (busy || (work && !stop)) && !(stop && opt.idle);
}

static void
usage(void)
{
	fputs(
	    "bench-load [--host IPV4] --port N [--mails N] [--conns N] [--per-conn N] [--size OCTETS] [--attach]\n"
	    "  [--starttls | --tls] [--user NAME --password WORD] [--from ADDR] [--to ADDR] [--prefix ID] [--seed N]\n"
	    "  [--log FILE] [--retry] [--timeout SECONDS] [--limit SECONDS] [--spread] [--idle]\n"
	    "--idle: open the connections, say EHLO, print {\"idle\": N}, stay until SIGTERM.\n",
	    stderr);
	exit(64);
}

static void
options(int argc, char **argv)
{
	static const struct option names[] = {{"host", 1, 0, 'h'},     {"port", 1, 0, 'p'},
					      {"mails", 1, 0, 'n'},    {"conns", 1, 0, 'c'},
					      {"per-conn", 1, 0, 'r'}, {"size", 1, 0, 's'},
					      {"attach", 0, 0, 'a'},   {"starttls", 0, 0, 'S'},
					      {"tls", 0, 0, 'T'},      {"user", 1, 0, 'u'},
					      {"password", 1, 0, 'w'}, {"from", 1, 0, 'f'},
					      {"to", 1, 0, 't'},       {"prefix", 1, 0, 'P'},
					      {"seed", 1, 0, 'd'},     {"log", 1, 0, 'l'},
					      {"retry", 0, 0, 'R'},    {"timeout", 1, 0, 'o'},
					      {"limit", 1, 0, 'L'},    {"idle", 0, 0, 'i'},
					      {"spread", 0, 0, 'x'},   {0}};
	int o;

	while ((o = getopt_long(argc, argv, "", names, NULL)) != -1)
		switch (o) {
		case 'h':
			opt.host = optarg;
			break;
		case 'p':
			opt.port = atoi(optarg);
			break;
		case 'n':
			opt.mails = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			opt.conns = (unsigned)atoi(optarg);
			break;
		case 'r':
			opt.per_conn = (unsigned)atoi(optarg);
			break;
		case 's':
			opt.size = (size_t)atol(optarg);
			break;
		case 'a':
			opt.attachment = true;
			break;
		case 'S':
			opt.starttls = true;
			break;
		case 'T':
			opt.tls = true;
			break;
		case 'u':
			opt.user = optarg;
			break;
		case 'w':
			opt.password = optarg;
			break;
		case 'f':
			opt.from = optarg;
			break;
		case 't':
			opt.to = optarg;
			break;
		case 'P':
			opt.prefix = optarg;
			break;
		case 'd':
			opt.seed = strtoull(optarg, NULL, 10);
			break;
		case 'l':
			opt.log_path = optarg;
			break;
		case 'R':
			opt.retry = true;
			break;
		case 'o':
			opt.timeout_us = strtoull(optarg, NULL, 10) * 1000000u;
			break;
		case 'L':
			opt.limit_us = strtoull(optarg, NULL, 10) * 1000000u;
			break;
		case 'i':
			opt.idle = 1;
			break;
		case 'x':
			opt.spread = true;
			break;
		default:
			usage();
		}
	if (optind != argc || opt.conns == 0 || opt.conns > 60000 || opt.port <= 0 || opt.port > 65535 ||
	    (opt.user && !opt.password))
		usage();
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256];
	struct client *clients;
	uint64_t begin = now_us();

	options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	clients = xrealloc(NULL, opt.conns * sizeof *clients);
	memset(clients, 0, opt.conns * sizeof *clients);
	for (unsigned i = 0; i < opt.conns; i++)
		clients[i].conn.fd = -1;
	tls = SSL_CTX_new(TLS_client_method()); /* certificates are not this tool's business */
	if (opt.log_path && !(ids = fopen(opt.log_path, "w"))) {
		perror(opt.log_path);
		return 66;
	}
	while (tend(clients) && now_us() < begin + opt.limit_us) {
		int n = epoll_wait(epoll, events, 256, 20);

		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (c->conn.fd >= 0)
				serve(c);
		}
		if (ids)
			fflush(ids);
	}
	for (unsigned i = 0; i < opt.conns; i++) {
		struct client *c = &clients[i];

		if (c->step != CLOSED) /* what is still open at the limit is accounted for too */
			drop(c, 0);
		conn_free(&c->conn);
		free(c->mail.data);
	}
	if (!opt.idle)
		report();
	if (ids && fclose(ids) != 0)
		return 74;
	free(clients);
	free(latencies);
	SSL_CTX_free(tls);
	return counts[OK] >= opt.mails || opt.idle ? 0 : 1;
}
