/* SPDX-License-Identifier: MIT
 *
 * Copies of secrets on the heap, wiped before they are freed.
 */
#include "crypt/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void
secret_wipe(void *p, size_t n)
{
	if (p != NULL)
		sodium_memzero(p, n);
}

static enum rc
read_all(int fd, const char *path, uint8_t *p, size_t size, size_t *n_r, struct err *e)
{
	size_t n = 0;
	while (n < size) {
		ssize_t k = read(fd, p + n, size - n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
		if (k == 0)
			break;
		n += (size_t)k;
	}
	*n_r = n;
	return RC_OK;
}

enum rc
secret_from_file(const char *path, size_t max, struct secret *out_r, struct err *e)
{
	struct stat st;
	size_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	uint8_t *p = malloc(max + 1);
	enum rc rc = RC_OK;
	if (p == NULL)
		rc = err_set(e, RC_INTERNAL, "no memory for a secret");
	else if (fstat(fd, &st) != 0)
		rc = err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, RC_INVALID, "%s is not a file", path);
	else if ((st.st_mode & 077) != 0)
		rc = err_set(e, RC_INVALID, "%s can be read by others (mode %03o, want 600)", path, st.st_mode & 0777);
	else if (st.st_size > (off_t)max)
		rc = err_set(e, RC_INVALID, "%s is longer than %zu octets", path, max);
	else
		rc = read_all(fd, path, p, max, &n, e);
	close(fd);
	if (rc != RC_OK) {
		free(p);
		return rc;
	}
	if (n > 0 && p[n - 1] == '\n')
		n--;
	p[n] = 0;
	*out_r = (struct secret){p, n};
	return RC_OK;
}

void
secret_done(struct secret *s)
{
	if (s == NULL || s->p == NULL)
		return;
	sodium_memzero(s->p, s->n);
	free(s->p);
	*s = (struct secret){0};
}
