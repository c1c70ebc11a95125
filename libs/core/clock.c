/* SPDX-License-Identifier: MIT */
#include "core/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t
clock_wall_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_mono_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
clock_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_mono_ms();
	return left > 0 ? left : 0;
}

static void
split(int64_t wall_us, struct tm *tm, int *us)
{
	int64_t s = wall_us / 1000000;
	int64_t u = wall_us % 1000000;
	if (u < 0) {
		u += 1000000;
		s--;
	}
	time_t t = (time_t)s;
	if (gmtime_r(&t, tm) == NULL)
		memset(tm, 0, sizeof(*tm));
	*us = (int)u;
}

void
clock_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_SIZE])
{
	struct tm tm;
	int us;
	split(wall_us, &tm, &us);
	char all[64];
	snprintf(all, sizeof(all), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		 tm.tm_hour, tm.tm_min, tm.tm_sec, us);
	memcpy(out, all, CLOCK_RFC3339_SIZE - 1);
	out[CLOCK_RFC3339_SIZE - 1] = 0;
}

void
clock_rfc5322(int64_t wall_us, char out[CLOCK_RFC5322_SIZE])
{
	/* Not strftime: its names follow the locale. */
	static const char day[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char month[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm;
	int us;
	split(wall_us, &tm, &us);
	char all[64];
	snprintf(all, sizeof(all), "%s, %02d %s %04d %02d:%02d:%02d +0000", day[tm.tm_wday % 7], tm.tm_mday,
		 month[tm.tm_mon % 12], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	memcpy(out, all, CLOCK_RFC5322_SIZE - 1);
	out[CLOCK_RFC5322_SIZE - 1] = 0;
}
