/* SPDX-License-Identifier: MIT
 *
 * Message octets. The decoder runs over whole lines with memchr and falls back to one octet at a time only where a
 * state changes: at line ends and at dots.
 */
#include "smtp/data.h"

void
smtp_data_init(struct smtp_data *d, bool dots)
{
	*d = (struct smtp_data){.state = SMTP_DATA_BOL, .dots = dots};
}

static void
keep(struct smtp_data *d, const uint8_t *p, size_t n, struct buf *out)
{
	d->octets += n;
	if (out != NULL)
		buf_add(out, p, n);
}

/* Octets at the front that are inside a line: up to the first CR or LF. */
static size_t
text_run(struct smtp_data *d, const uint8_t *p, size_t n)
{
	const uint8_t *lf = memchr(p, '\n', n);
	size_t k = lf != NULL ? (size_t)(lf - p) : n;
	const uint8_t *cr = memchr(p, '\r', k);
	k = cr != NULL ? (size_t)(cr - p) : k;
	d->nul = d->nul || memchr(p, '\0', k) != NULL;
	return k;
}

/* Whole lines from the beginning of one, copied in one piece: as far as each is "text CRLF" and needs no unstuffing. */
static size_t
line_run(struct smtp_data *d, const uint8_t *p, size_t n)
{
	size_t done = 0;
	while (done < n && !(d->dots && p[done] == '.')) {
		size_t k = text_run(d, p + done, n - done);
		if (n - done - k < 2 || p[done + k] != '\r' || p[done + k + 1] != '\n')
			break;
		done += k + 2;
	}
	return done;
}

enum smtp_data_progress
smtp_data_decode(struct smtp_data *d, struct bytes in, struct buf *out, size_t *used_r)
{
	size_t i = 0;
	*used_r = in.n;
	while (i < in.n) {
		const uint8_t *p = in.p + i;
		size_t k;
		switch (d->state) {
		case SMTP_DATA_BOL:
			k = line_run(d, p, in.n - i);
			if (k > 0) {
				keep(d, p, k, out);
				i += k;
			} else if (d->dots && *p == '.') {
				d->state = SMTP_DATA_DOT;
				i++;
			} else {
				d->state = SMTP_DATA_TEXT;
			}
			break;
		case SMTP_DATA_TEXT:
			k = text_run(d, p, in.n - i);
			keep(d, p, k, out);
			i += k;
			if (i == in.n)
				break;
			if (in.p[i] == '\n')
				return SMTP_DATA_BAD;
			d->state = SMTP_DATA_CR;
			i++;
			break;
		case SMTP_DATA_CR:
			if (*p != '\n')
				return SMTP_DATA_BAD;
			keep(d, (const uint8_t *)"\r\n", 2, out);
			d->state = SMTP_DATA_BOL;
			i++;
			break;
		case SMTP_DATA_DOT: /* the dot itself is dropped, whatever follows (RFC 5321, 4.5.2) */
			d->state = *p == '\r' ? SMTP_DATA_DOT_CR : SMTP_DATA_TEXT;
			i += *p == '\r';
			break;
		case SMTP_DATA_DOT_CR:
			if (*p != '\n')
				return SMTP_DATA_BAD;
			*used_r = i + 1;
			return SMTP_DATA_DONE;
		}
	}
	return SMTP_DATA_MORE;
}

bool
smtp_data_finish(const struct smtp_data *d, bool *needs_crlf_r)
{
	if (d->state == SMTP_DATA_CR)
		return false;
	*needs_crlf_r = d->state != SMTP_DATA_BOL || d->octets == 0;
	return true;
}

void
smtp_dot_init(struct smtp_dot *d)
{
	*d = (struct smtp_dot){.bol = true};
}

enum rc
smtp_dot_encode(struct smtp_dot *d, struct bytes in, struct buf *out, struct err *e)
{
	size_t i = 0;
	while (i < in.n) {
		if (d->cr) {
			if (in.p[i] != '\n')
				return err_set(e, RC_INVALID, "bare CR in message");
			buf_add(out, "\r\n", 2);
			d->cr = false;
			d->bol = true;
			i++;
			continue;
		}
		if (d->bol && in.p[i] == '.')
			buf_add(out, ".", 1);
		const uint8_t *cr = memchr(in.p + i, '\r', in.n - i);
		size_t k = cr != NULL ? (size_t)(cr - (in.p + i)) : in.n - i;
		if (memchr(in.p + i, '\n', k) != NULL)
			return err_set(e, RC_INVALID, "bare LF in message");
		buf_add(out, in.p + i, k);
		d->bol = d->bol && k == 0;
		i += k;
		if (cr != NULL) {
			d->cr = true;
			i++;
		}
	}
	return buf_ok(out) ? RC_OK : err_set(e, RC_LIMIT, "message too large to encode");
}

enum rc
smtp_dot_end(struct smtp_dot *d, struct buf *out, struct err *e)
{
	if (d->cr)
		return err_set(e, RC_INVALID, "message ends in a bare CR");
	buf_add_str(out, d->bol ? ".\r\n" : "\r\n.\r\n");
	smtp_dot_init(d);
	return buf_ok(out) ? RC_OK : err_set(e, RC_LIMIT, "message too large to encode");
}
