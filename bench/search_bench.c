/* SPDX-License-Identifier: MIT
 *
 * Message search over many mails (1,000,000 unless told) under row-level security, as the role of the service: fills a
 * scratch database through the code of the service, indexes and merges with it, then asks queries of every kind. One
 * thread. Run by bench/search.sh, which gives SEKISHO_TEST_DB and deletes the database afterwards.
 *
 *   bench-search [MESSAGES]      exit code 1: a kind's p95 is 100 ms or more, or a count is wrong
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "search_find.h"
#include "search_testing.h"
#include "search_write.h"

#define MEDIAN	350
#define BATCH	500
#define WANT_US 100000
#define SPAN_US (INT64_C(27) * 86400 * 1000000)
#define RUNS	200

static char psql[512], dir[] = "/tmp/sekisho-bench-XXXXXX", kek[64];
static struct db_pool *pool;
static struct content *content;
static struct search_corpus *corpus;
static struct uuid tenant;
static int64_t base_us;
static size_t total = 1000000;
static bool bad;

static void
die(const char *what, const struct err *e)
{
	fprintf(stderr, "bench-search: %s: %s\n", what, e != NULL ? e->text : "failed");
	exit(2);
}

static void
check(enum rc rc, const char *what, const struct err *e)
{
	if (rc != RC_OK)
		die(what, e);
}

/* One value out of the database, by the superuser. */
static const char *
value(const char *sql)
{
	static char line[256];
	char command[2048];
	snprintf(command, sizeof(command), "psql -qAtX \"%s\" -v ON_ERROR_STOP=1 -c \"%s\"", psql, sql);
	FILE *f = popen(command, "r");
	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		die(sql, NULL);
	pclose(f);
	line[strcspn(line, "\n")] = 0;
	return line;
}

static void
vacuum(void)
{
	char command[700];
	snprintf(command, sizeof(command), "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'VACUUM ANALYZE' -c CHECKPOINT",
		 psql);
	if (system(command) != 0)
		die("vacuum", NULL);
}

/* --- processor time -------------------------------------------------------------------------------------------- */
static double
own_cpu(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* utime + stime, and for the postmaster those of its ended children, in ticks; parent in *ppid_r. */
static long long
ticks_of(long pid, long *ppid_r, bool with_children)
{
	char path[64], text[1024];
	long long u = 0, s = 0, cu = 0, cs = 0;
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "r");
	*ppid_r = 0;
	if (f == NULL)
		return 0;
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	char *p = strrchr(text, ')');
	if (p == NULL || sscanf(p + 1, " %*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %lld %lld", ppid_r, &u,
				&s, &cu, &cs) != 5)
		return 0;
	return u + s + (with_children ? cu + cs : 0);
}

static double
postgres_cpu(long postmaster)
{
	long ppid;
	long long sum = ticks_of(postmaster, &ppid, true);
	DIR *d = opendir("/proc");
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		long pid = strtol(e->d_name, NULL, 10);
		long long t = pid > 0 ? ticks_of(pid, &ppid, false) : 0;
		if (pid > 0 && ppid == postmaster)
			sum += t;
	}
	if (d != NULL)
		closedir(d);
	return (double)sum / (double)sysconf(_SC_CLK_TCK);
}

static long
postmaster_pid(void)
{
	char path[300];
	long pid = 0;
	snprintf(path, sizeof(path), "%s/postmaster.pid", value("SHOW data_directory"));
	FILE *f = fopen(path, "r");
	if (f != NULL) {
		if (fscanf(f, "%ld", &pid) != 1)
			pid = 0;
		fclose(f);
	}
	return pid;
}

/* --- filling --------------------------------------------------------------------------------------------------- */
static void
open_database(void)
{
	const char *conninfo = getenv("SEKISHO_TEST_DB");
	char command[2048], as_delivery[600];
	struct err e;
	if (conninfo == NULL)
		die("SEKISHO_TEST_DB is not set: run bench/search.sh", NULL);
	snprintf(psql, sizeof(psql), "%s dbname=search_bench", conninfo);
	snprintf(as_delivery, sizeof(as_delivery), "%s user=sekisho_delivery", psql);
	snprintf(command, sizeof(command),
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -c 'CREATE DATABASE search_bench OWNER sekisho_owner' && "
		 "psql -qX \"%s\" -v ON_ERROR_STOP=1 -o /dev/null -c 'SET ROLE sekisho_owner' "
		 "-f libs/db/migrations/0001_base.sql -f libs/content/migrations/0001_content.sql "
		 "-f services/delivery/migrations/0001_delivery.sql -f services/delivery/migrations/0002_search.sql",
		 conninfo, psql);
	if (system(command) != 0 || mkdtemp(dir) == NULL)
		die("database", NULL);
	snprintf(kek, sizeof(kek), "%s/kek", dir);
	int fd = open(kek, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 65) != 65)
		die("key file", NULL);
	close(fd);
	struct db_options o = {.conninfo = as_delivery,
			       .size = 4,
			       .settings = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"};
	check(db_pool_new(&o, &pool, &e), "pool", &e);
	check(content_open(kek, pool, &content, &e), "content", &e);
}

static void
fill(void)
{
	struct arena *a = arena_new();
	struct err e;
	size_t octets = 0;
	int64_t began = clock_mono_ms();
	for (size_t at = 0; at < total; at += BATCH) {
		size_t n = total - at < BATCH ? total - at : BATCH;
		struct store_arrival *v = arena_new_array(a, struct store_arrival, n);
		struct facts *f = arena_new_array(a, struct facts, n);
		for (size_t i = 0; i < n; i++) {
			int64_t when = base_us + SPAN_US / (int64_t)total * (int64_t)(at + i);
			search_corpus_message(corpus, at + i, when, a, &v[i], &f[i]);
			octets += f[i].size;
		}
		check(search_corpus_store(pool, content, &tenant, v, f, n, a, &e), "fill", &e);
		arena_reset(a);
		if (at % 100000 == 0)
			fprintf(stderr, "stored %zu in %lld s\n", at + n, (long long)(clock_mono_ms() - began) / 1000);
	}
	arena_free(&a);
	printf("mails %zu, %.1f KB of text each on average\n", total, (double)octets / (double)total / 1000);
}

static void
index_all(long postmaster)
{
	struct search_writer *w = search_writer_new(pool, content);
	struct err e;
	double own[2] = {0}, theirs[2] = {0}; /* new segments, merges */
	int64_t began = clock_mono_ms();
	size_t done = 0, n = 1, merges = 0;
	while (n > 0) {
		double c = own_cpu(), p = postgres_cpu(postmaster);
		for (int i = 0; i < 16 && n > 0; i++) {
			check(search_write_waiting(w, &tenant, 512, &n, &e), "index", &e);
			done += n;
		}
		double c2 = own_cpu(), p2 = postgres_cpu(postmaster);
		own[0] += c2 - c;
		theirs[0] += p2 - p;
		for (bool merged = true; merged;) {
			check(search_write_merge(w, &tenant, &merged, &e), "merge", &e);
			merges += merged;
		}
		own[1] += own_cpu() - c2;
		theirs[1] += postgres_cpu(postmaster) - p2;
		if (done % 131072 < 16 * 512)
			fprintf(stderr, "indexed %zu in %lld s\n", done, (long long)(clock_mono_ms() - began) / 1000);
	}
	search_writer_free(&w);
	double k = 1e6 / (double)done;
	printf("indexed %zu in %lld s, %zu merges; processor time of each mail in us:\n"
	       "  new segments: service %.0f, PostgreSQL %.0f; merges: service %.0f, PostgreSQL %.0f; all %.0f\n",
	       done, (long long)(clock_mono_ms() - began) / 1000, merges, own[0] * k, theirs[0] * k, own[1] * k,
	       theirs[1] * k, (own[0] + theirs[0] + own[1] + theirs[1]) * k);
	printf("segments %s\n", value("SELECT count(*) FROM delivery.search_segment"));
	printf("index %s",
	       value("SELECT pg_size_pretty(sum(pg_total_relation_size(inhrelid))) FROM pg_inherits WHERE inhparent IN "
		     "('delivery.search_block'::regclass, 'delivery.search_segment'::regclass)"));
	printf(", all of the database %s\n\n", value("SELECT pg_size_pretty(pg_database_size('search_bench'))"));
}

/* --- asking ---------------------------------------------------------------------------------------------------- */
struct kind {
	const char *name;
	/* Fill in the i-th query of the kind. */
	void (*make)(size_t i, char *text, size_t size, struct search_ask *ask);
	long hits; /* of the first page of the first query; or one of these */
};
enum { NOT_CHECKED = -1, COUNT_RARE = -2, COUNT_SELDOM = -3 };

static void
word(char *text, size_t size, bool english, size_t rank)
{
	struct bytes b = search_corpus_word(corpus, english, rank);
	snprintf(text, size, "%.*s", (int)b.n, b.p);
}
static void
everywhere(size_t i, char *text, size_t size, struct search_ask *ask)
{
	snprintf(text, size, CORPUS_GREETING);
}
static void
everywhere_200(size_t i, char *text, size_t size, struct search_ask *ask)
{
	everywhere(i, text, size, ask);
	ask->limit = 200;
}
static void
everywhere_deep(size_t i, char *text, size_t size, struct search_ask *ask)
{
	everywhere(i, text, size, ask);
	ask->has_before = true;
	ask->before = uuid_v7_floor(base_us + SPAN_US / RUNS * (int64_t)(1 + i % (RUNS - 1)));
}
static void
common(size_t i, char *text, size_t size, struct search_ask *ask)
{
	word(text, size, false, i % 100);
}
static void
common_day(size_t i, char *text, size_t size, struct search_ask *ask)
{
	common(i, text, size, ask);
	ask->from_us = base_us + SPAN_US / 30 * (int64_t)(i % 29);
	ask->until_us = ask->from_us + SPAN_US / 30;
	ask->direction = "incoming";
}
static void
two_common(size_t i, char *text, size_t size, struct search_ask *ask)
{
	struct bytes a = search_corpus_word(corpus, false, i % 100), b = search_corpus_word(corpus, false, i % 83 + 20);
	snprintf(text, size, "%.*s %.*s", (int)a.n, a.p, (int)b.n, b.p);
}
static void
middle(size_t i, char *text, size_t size, struct search_ask *ask)
{
	word(text, size, false, 1000 + 37 * i % 5000);
}
static void
five_words(size_t i, char *text, size_t size, struct search_ask *ask)
{
	size_t at = 0;
	for (size_t k = 0; k < 5; k++) {
		struct bytes b = search_corpus_word(corpus, false, (i + 7 * k * k) % 60);
		at += (size_t)snprintf(text + at, size - at, "%.*s ", (int)b.n, b.p);
	}
}
static void
english_common(size_t i, char *text, size_t size, struct search_ask *ask)
{
	word(text, size, true, i % 100);
}
static void
english_rare(size_t i, char *text, size_t size, struct search_ask *ask)
{
	word(text, size, true, 20000 + 97 * i % 19000);
}
static void
seldom(size_t i, char *text, size_t size, struct search_ask *ask)
{
	snprintf(text, size, CORPUS_SELDOM);
}
static void
rare(size_t i, char *text, size_t size, struct search_ask *ask)
{
	snprintf(text, size, CORPUS_RARE);
}
static void
nowhere(size_t i, char *text, size_t size, struct search_ask *ask)
{
	snprintf(text, size, "龘龘%zu鱻鱻", i);
}
static void
never_together(size_t i, char *text, size_t size, struct search_ask *ask)
{
	snprintf(text, size, CORPUS_SELDOM " " CORPUS_RARE " " CORPUS_GREETING);
}
static void
address(size_t i, char *text, size_t size, struct search_ask *ask)
{
	size_t n = 1 + 13 * i % 2000;
	snprintf(text, size, "person%zu@team%zu.example%s", n, n % 97, n % 3 == 0 ? ".jp" : "");
}
static void
file_name(size_t i, char *text, size_t size, struct search_ask *ask)
{
	struct bytes b = search_corpus_word(corpus, false, i % 300);
	snprintf(text, size, "\"%.*s-%zu.pdf\"", (int)b.n, b.p, 7 * i % 1000);
}
static void
ideograph(size_t i, char *text, size_t size, struct search_ask *ask)
{
	struct bytes b = search_corpus_word(corpus, false, 5 + i % 500);
	snprintf(text, size, "%.3s", (const char *)b.p);
	if ((uint8_t)text[0] < 0xe4) /* katakana */
		snprintf(text, size, "監");
}
/* Syllables that are everywhere, never in this order: the index cannot tell, so one call reads all it may. */
static void
worst(size_t i, char *text, size_t size, struct search_ask *ask)
{
	snprintf(text, size, "なってお世話になって");
}

static const struct kind kinds[] = {
    {"in all mails, 50", everywhere, 50},
    {"in all mails, 200", everywhere_200, 200},
    {"in all mails, deep page", everywhere_deep, NOT_CHECKED},
    {"common word", common, NOT_CHECKED},
    {"common, one day, incoming", common_day, NOT_CHECKED},
    {"two common words", two_common, NOT_CHECKED},
    {"five common words", five_words, NOT_CHECKED},
    {"word of middling rank", middle, NOT_CHECKED},
    {"one ideograph", ideograph, NOT_CHECKED},
    {"English, common", english_common, NOT_CHECKED},
    {"English, rare", english_rare, NOT_CHECKED},
    {"address", address, NOT_CHECKED},
    {"file name", file_name, NOT_CHECKED},
    {"1 in 1,000", seldom, COUNT_SELDOM},
    {"1 in 100,000", rare, COUNT_RARE},
    {"nowhere", nowhere, 0},
    {"never together", never_together, 0},
    {"worst: common, wrong order", worst, 0},
};

static int
longer(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
	return a < b ? -1 : a > b;
}

static int64_t
now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Time of one query; what it found in *found_r. */
static int64_t
ask_once(const struct kind *k, size_t i, struct search_answer *found_r, struct arena *a)
{
	char text[512] = "";
	struct search_query q;
	struct search_ask ask = {.limit = 50, .query = &q};
	struct err e;
	k->make(i, text, sizeof(text), &ask);
	int64_t began = now_us();
	check(search_query_parse(a, text, &q, &e), text, &e);
	check(search_find(pool, content, &tenant, &ask, clock_mono_ms() + 60000, a, found_r, &e), text, &e);
	return now_us() - began;
}

/* The kernel forgets the files of the database; what PostgreSQL itself keeps (128 MB) stays. */
static void
forget_files(const char *path)
{
	DIR *d = opendir(path);
	char name[1024];
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (e->d_type == DT_DIR) {
			forget_files(name);
			continue;
		}
		int fd = open(name, O_RDONLY);
		if (fd >= 0) {
			(void)fdatasync(fd);
			(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
			close(fd);
		}
	}
	if (d != NULL)
		closedir(d);
}

static void
measure(const struct kind *k, const char *base, long postmaster)
{
	static int64_t v[RUNS];
	struct search_answer found, first;
	struct arena *a = arena_new(), *b = arena_new();
	forget_files(base);
	int64_t cold = ask_once(k, 0, &first, b);
	for (size_t i = 0; i < RUNS / 4; i++) {
		(void)ask_once(k, i, &found, a);
		arena_reset(a);
	}
	size_t hits = 0, examined = 0, blocks = 0, partial = 0;
	double cpu = own_cpu() + postgres_cpu(postmaster);
	for (size_t i = 0; i < RUNS; i++) {
		v[i] = ask_once(k, i, &found, a);
		hits += found.n;
		examined += found.examined;
		blocks += found.blocks;
		partial += found.more && found.n < 50;
		arena_reset(a);
	}
	cpu = (own_cpu() + postgres_cpu(postmaster) - cpu) * 1000 / RUNS;
	qsort(v, RUNS, sizeof(v[0]), longer);
	int64_t p95 = v[RUNS * 95 / 100];
	long want = k->hits;
	if (want == COUNT_RARE)
		want = (long)((total + 99999 - 777) / 100000);
	else if (want == COUNT_SELDOM)
		want = total < 50000 ? (long)(total / 1000) : 50;
	bool wrong = want >= 0 && first.n != (size_t)want;
	printf("%-28s %7.1f %7.1f %7.1f %7.1f %7.1f   %5.1f %6.1f %6.1f %4zu%%%s%s\n", k->name,
	       (double)v[RUNS / 2] / 1000, (double)p95 / 1000, (double)v[RUNS - 1] / 1000, (double)cold / 1000, cpu,
	       (double)hits / RUNS, (double)examined / RUNS, (double)blocks / RUNS, partial * 100 / RUNS,
	       p95 >= WANT_US ? "  TOO SLOW" : "", wrong ? "  WRONG COUNT" : "");
	fflush(stdout);
	bad |= p95 >= WANT_US || wrong;
	arena_free(&a);
	arena_free(&b);
}

int
main(int argc, char **argv)
{
	char base[300];
	if (argc > 1)
		total = strtoul(argv[1], NULL, 10);
	if (total < 1000)
		die("at least 1000 messages", NULL);
	time_t now = time(NULL);
	struct tm tm;
	gmtime_r(&now, &tm);
	tm.tm_mday = 1;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	base_us = (int64_t)timegm(&tm) * 1000000 + 1000000; /* all of this month's partition */
	tenant = uuid_v7(base_us);
	open_database();
	corpus = search_corpus_new(MEDIAN);
	fill();
	long postmaster = postmaster_pid();
	snprintf(base, sizeof(base), "%s/base", value("SHOW data_directory"));
	vacuum();
	index_all(postmaster);
	vacuum();
	printf("%-28s %7s %7s %7s %7s %7s   %5s %6s %6s %5s\n", "query (times in ms)", "p50", "p95", "max", "cold",
	       "cpu", "found", "read", "blocks", "part");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		measure(&kinds[i], base, postmaster);
	printf("\ncold: the first time it is asked, files not in memory; cpu: processor time of service and "
	       "PostgreSQL; found, read, blocks: on average of a page;\n"
	       "part: pages that ended at the bound of one call and go on by cursor\n");
	content_free(&content);
	db_pool_free(&pool);
	search_corpus_free(&corpus);
	unlink(kek);
	rmdir(dir);
	return bad;
}
