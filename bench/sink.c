/* SPDX-License-Identifier: MIT
 *
 * SMTP sink: takes every mail, writes down its X-Bench-Id and when it came, and finds duplicates. Offers PIPELINING,
 * 8BITMIME, SMTPUTF8, SIZE. It can be told to misbehave for every Nth mail: 451 or 550 after the dot, or taking the
 * mail and closing without a reply; and to answer the dot late.
 *
 * Log, one line per final dot, flushed before the reply: id arrival_us octets outcome, outcome: ok, temp, perm or
 * dropped (taken, no reply). Counted as arrived: ok and dropped. On SIGTERM a summary as JSON goes to stdout.
 */
#include <arpa/inet.h>
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

enum mode { COMMANDS, DATA, LATE };

struct peer {
	struct conn conn;
	enum mode mode;
	char id[96];
	char line[1024]; /* the header line under way, cut */
	size_t line_len, octets, recipients;
	unsigned state; /* of the search for CRLF.CRLF: how much of it has been seen */
	bool in_header, counted;
	uint64_t late_us; /* LATE: when to answer */
	const char *late_reply;
	struct peer *next, *prev;
};

struct seen {
	struct seen *next;
	uint64_t count;
	char id[];
};

static struct {
	int port;
	const char *log_path;
	unsigned temp, perm, drop;
	uint64_t delay_us;
} opt;

static int epoll;
static FILE *out;
static struct seen *table[1 << 16];
static struct peer *peers; /* for the late ones */
static uint64_t arrived, distinct, duplicates, temps, perms, dropped, unmarked, number, connections, first_us, last_us;
static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = sig;
}

static void
mark(const char *id)
{
	uint32_t h = 2166136261u;
	struct seen *s;
	size_t n = strlen(id) + 1;

	arrived++;
	last_us = now_us();
	if (!first_us)
		first_us = last_us;
	if (!id[0]) {
		unmarked++;
		return;
	}
	for (const char *p = id; *p; p++)
		h = (h ^ (unsigned char)*p) * 16777619u;
	for (s = table[h >> 16]; s; s = s->next)
		if (strcmp(s->id, id) == 0) {
			duplicates++;
			s->count++;
			return;
		}
	s = xrealloc(NULL, sizeof *s + n);
	memcpy(s->id, id, n);
	s->count = 1;
	s->next = table[h >> 16];
	table[h >> 16] = s;
	distinct++;
}

static void
forget(struct peer *p)
{
	if (p->prev)
		p->prev->next = p->next;
	else
		peers = p->next;
	if (p->next)
		p->next->prev = p->prev;
	conn_free(&p->conn);
	free(p);
}

static bool
every(unsigned n)
{
	return n && number % n == 0;
}

/* The final dot. False: close without a reply. */
static bool
on_dot(struct peer *p)
{
	const char *outcome = "ok", *reply = "250 2.0.0 taken\r\n";

	number++;
	p->mode = COMMANDS;
	p->recipients = 0;
	if (every(opt.drop)) {
		outcome = "dropped";
		dropped++;
	} else if (every(opt.perm)) {
		outcome = "perm";
		reply = "550 5.7.1 not wanted\r\n";
		perms++;
	} else if (every(opt.temp)) {
		outcome = "temp";
		reply = "451 4.3.0 not now\r\n";
		temps++;
	}
	if (outcome[0] == 'o' || outcome[0] == 'd')
		mark(p->id);
	if (out) {
		fprintf(out, "%s %llu %zu %s\n", p->id[0] ? p->id : "-", (unsigned long long)now_us(), p->octets,
			outcome);
		fflush(out);
	}
	if (outcome[0] == 'd')
		return false;
	if (opt.delay_us) {
		p->mode = LATE;
		p->late_us = now_us() + opt.delay_us;
		p->late_reply = reply;
	} else {
		conn_put(&p->conn, reply, strlen(reply));
	}
	return true;
}

static void
on_header_line(struct peer *p)
{
	static const char name[] = "X-Bench-Id:";

	p->line[p->line_len] = 0;
	if (p->line_len == 0)
		p->in_header = false;
	else if (!p->id[0] && strncasecmp(p->line, name, sizeof name - 1) == 0)
		sscanf(p->line + sizeof name - 1, " %95s", p->id);
	p->line_len = 0;
}

/* Takes octets of the message up to the final dot. False: close. */
static bool
on_data(struct peer *p)
{
	static const char end[] = "\r\n.\r\n";
	struct octets *in = &p->conn.in;

	while (in->off < in->len && p->mode == DATA) {
		char ch;

		/* memchr carries the weight of big bodies: only line ends are interesting */
		if (!p->in_header && p->state == 0) {
			char *cr = memchr(in->data + in->off, '\r', in->len - in->off);
			size_t skip = (cr ? (size_t)(cr - in->data) : in->len) - in->off;

			p->octets += skip;
			in->off += skip;
			if (in->off == in->len)
				break;
		}
		ch = in->data[in->off++];
		p->octets++;
		p->state = ch == end[p->state] ? p->state + 1 : ch == '\r';
		if (p->in_header && p->state == 2)
			on_header_line(p);
		else if (p->in_header && ch != '\r' && p->line_len < sizeof p->line - 1)
			p->line[p->line_len++] = ch;
		if (p->state == 5) {
			p->octets -= 3;
			p->state = 0;
			if (!on_dot(p))
				return false;
		}
	}
	return true;
}

static bool
on_command(struct peer *p, const char *line)
{
	struct conn *c = &p->conn;

	if (strncasecmp(line, "EHLO", 4) == 0)
		conn_putf(c, "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 67108864\r\n250-8BITMIME\r\n"
			     "250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n");
	else if (strncasecmp(line, "HELO", 4) == 0)
		conn_putf(c, "250 sink.example\r\n");
	else if (strncasecmp(line, "MAIL", 4) == 0 || strncasecmp(line, "RSET", 4) == 0) {
		p->recipients = 0;
		conn_putf(c, "250 2.1.0 ok\r\n");
	} else if (strncasecmp(line, "RCPT", 4) == 0) {
		p->recipients++;
		conn_putf(c, "250 2.1.5 ok\r\n");
	} else if (strncasecmp(line, "DATA", 4) == 0 && p->recipients > 0) {
		conn_putf(c, "354 go on\r\n");
		p->mode = DATA;
		p->id[0] = 0;
		p->line_len = p->octets = 0;
		p->in_header = true;
		p->state = 2; /* the CRLF of DATA counts: a message may be a dot alone */
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		conn_putf(c, "221 2.0.0 bye\r\n");
		conn_flush(c, epoll);
		return false;
	} else if (strncasecmp(line, "NOOP", 4) == 0) {
		conn_putf(c, "250 2.0.0 ok\r\n");
	} else {
		conn_putf(c, "503 5.5.1 what?\r\n");
	}
	return true;
}

static bool
serve(struct peer *p)
{
	bool alive = conn_fill(&p->conn), more = true;

	while (more) {
		size_t before = p->conn.in.off;

		if (p->mode == DATA) {
			if (!on_data(p))
				return false;
		} else if (p->mode == COMMANDS) {
			char *line = conn_line(&p->conn);

			if (line && !on_command(p, line))
				return false;
		}
		more = p->conn.in.off != before;
	}
	return conn_flush(&p->conn, epoll) && alive;
}

static void
welcome(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
		struct peer *p;

		if (fd < 0)
			return;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		p = xrealloc(NULL, sizeof *p);
		memset(p, 0, sizeof *p);
		p->next = peers;
		if (peers)
			peers->prev = p;
		peers = p;
		connections++;
		conn_open(&p->conn, epoll, fd, p);
		conn_putf(&p->conn, "220 sink.example ESMTP\r\n");
		if (!conn_flush(&p->conn, epoll))
			forget(p);
	}
}

static void
answer_late(void)
{
	uint64_t now = now_us();

	for (struct peer *p = peers, *next; p; p = next) {
		next = p->next;
		if (p->mode != LATE || p->late_us > now)
			continue;
		p->mode = COMMANDS;
		conn_put(&p->conn, p->late_reply, strlen(p->late_reply));
		if (!conn_flush(&p->conn, epoll) || !serve(p))
			forget(p);
	}
}

static int
listen_on(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 1024) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
		perror("listen");
		exit(71);
	}
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
	printf("{\"port\": %d}\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

static void
options(int argc, char **argv)
{
	static const struct option names[] = {{"port", 1, 0, 'p'},
					      {"log", 1, 0, 'l'},
					      {"temp", 1, 0, 't'},
					      {"perm", 1, 0, 'P'},
					      {"drop", 1, 0, 'd'},
					      {"delay-ms", 1, 0, 'D'},
					      {0}};
	int o;

	while ((o = getopt_long(argc, argv, "", names, NULL)) != -1)
		switch (o) {
		case 'p':
			opt.port = atoi(optarg);
			break;
		case 'l':
			opt.log_path = optarg;
			break;
		case 't':
			opt.temp = (unsigned)atoi(optarg);
			break;
		case 'P':
			opt.perm = (unsigned)atoi(optarg);
			break;
		case 'd':
			opt.drop = (unsigned)atoi(optarg);
			break;
		case 'D':
			opt.delay_us = strtoull(optarg, NULL, 10) * 1000u;
			break;
		default:
			fputs("bench-sink [--port N] [--log FILE] [--temp N] [--perm N] [--drop N] [--delay-ms N]\n"
			      "N of --temp, --perm, --drop: every Nth mail. Port 0: any, printed.\n",
			      stderr);
			exit(64);
		}
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256];
	int listener;

	options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (opt.log_path && !(out = fopen(opt.log_path, "a"))) {
		perror(opt.log_path);
		return 66;
	}
	listener = listen_on(opt.port);
	while (!stop) {
		int n = epoll_wait(epoll, events, 256, opt.delay_us ? 1 : 200);

		for (int i = 0; i < n; i++) {
			struct peer *p = events[i].data.ptr;

			if (!p)
				welcome(listener);
			else if (!serve(p))
				forget(p);
		}
		if (opt.delay_us)
			answer_late();
	}
	while (peers)
		forget(peers);
	printf("{\"arrived\": %llu, \"distinct\": %llu, \"duplicates\": %llu, \"temp\": %llu, \"perm\": %llu, "
	       "\"dropped\": %llu, "
	       "\"unmarked\": %llu, \"connections\": %llu, \"first_us\": %llu, \"last_us\": %llu}\n",
	       (unsigned long long)arrived, (unsigned long long)distinct, (unsigned long long)duplicates,
	       (unsigned long long)temps, (unsigned long long)perms, (unsigned long long)dropped,
	       (unsigned long long)unmarked, (unsigned long long)connections, (unsigned long long)first_us,
	       (unsigned long long)last_us);
	if (out && fclose(out) != 0)
		return 74;
	return 0;
}
