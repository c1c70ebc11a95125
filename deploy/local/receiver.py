# SPDX-License-Identifier: MIT
"""The other side of the demo: an SMTP server with STARTTLS that keeps what it gets (memory and run/received/), and a
page on loopback that shows the mails as they arrived. What arrived is foreign: it is only ever shown escaped."""
import email
import email.header
import email.policy
import html
import http.server
import json
import pathlib
import ssl
import threading
import time
import urllib.parse

from aiosmtpd.controller import Controller

STYLE = """body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #d0d7de;vertical-align:top}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f8fa;padding:1rem;border-radius:6px}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}a{color:#58a6ff}pre{background:#161b22}th,td{border-color:#30363d}}"""


class Received:
    """One mail as the receiver got it."""

    def __init__(self, number, at, sender, recipients, data, tls):
        self.number, self.at, self.sender, self.recipients = number, at, sender, recipients
        self.data, self.tls = data, tls

    def message(self):
        return email.message_from_bytes(self.data, policy=email.policy.default)


class Receiver:
    def __init__(self, folder, port, cert, key):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.lock, self.mails, self.arrived = threading.Lock(), [], threading.Condition()
        for path in sorted(self.folder.glob("*.json")):  # from an earlier start
            about = json.loads(path.read_text())
            data = path.with_suffix(".eml").read_bytes()
            self.mails.append(Received(len(self.mails) + 1, about["at"], about["sender"], about["recipients"], data, about["tls"]))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.controller = Controller(self, hostname="127.0.0.1", port=port, tls_context=context, enable_SMTPUTF8=True,
                                     ident="demo receiver", data_size_limit=100 << 20)
        self.controller.start()

    async def handle_DATA(self, server, session, envelope):
        tls = server.transport.get_extra_info("ssl_object")
        tls = tls.version() if tls else "none"
        with self.arrived:
            number = len(self.mails) + 1
            mail = Received(number, time.time(), envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content, tls)
            name = self.folder / f"{number:06d}"
            name.with_suffix(".eml").write_bytes(mail.data)
            name.with_suffix(".json").write_text(json.dumps({"at": mail.at, "sender": mail.sender, "tls": tls,
                                                             "recipients": mail.recipients}, ensure_ascii=False))
            self.mails.append(mail)
            self.arrived.notify_all()
        return f"250 2.0.0 kept as {number}"

    def find(self, message_id):
        """Mails with this Message-ID, in the order of arrival."""
        with self.arrived:
            return [m for m in self.mails if (m.message()["Message-ID"] or "").strip() == message_id]

    def close(self):
        self.controller.stop()


class Page(http.server.ThreadingHTTPServer):
    """dkim: function from a Received to (verified, all)."""
    daemon_threads = True

    def __init__(self, port, receiver, dkim):
        super().__init__(("127.0.0.1", port), _Handler)
        self.receiver, self.dkim = receiver, dkim
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


def _text(value):
    """For HTML: escaped, without control characters."""
    return html.escape("".join(c if c.isprintable() or c == "\n" else " " for c in str(value)))


def _row(server, m):
    good, signatures = server.dkim(m)
    when = time.strftime("%H:%M:%S", time.localtime(m.at))
    return (f"<tr><td>{when}</td><td>{_text(', '.join(m.recipients))}</td><td><a href='/{m.number}'>"
            f"{_text(m.message()['Subject'] or '(no subject)')}</a></td><td>{_text(m.sender or '<>')}</td>"
            f"<td>{_text(m.tls)}</td><td>{good} of {signatures}</td></tr>")


def _list(server):
    rows = "".join(_row(server, m) for m in reversed(server.receiver.mails)) or "<tr><td colspan=6>Nothing yet.</td></tr>"
    return ("<h1>Mails as the receivers got them</h1><p>Demo receiver of Sekisho. Reload to see what is new.</p><table>"
            f"<tr><th>at<th>to<th>subject<th>from<th>TLS<th>DKIM verified</tr>{rows}</table>")


def _one(server, m):
    good, signatures = server.dkim(m)
    message = m.message()
    body = message.get_body(("plain", "html"))
    try:
        text = body.get_content() if body else "(no text)"
    except (LookupError, ValueError) as e:
        text = f"(cannot be shown: {e})"
    files = ", ".join(p.get_filename() or "(no name)" for p in message.iter_attachments())
    raw = m.data[:262144].decode("utf-8", "replace")
    return (f"<p><a href='/'>All mails</a></p><h1>{_text(message['Subject'] or '(no subject)')}</h1><table>"
            f"<tr><th>From<td>{_text(message['From'])}</tr><tr><th>To<td>{_text(message['To'])}</tr>"
            f"<tr><th>Envelope<td>{_text(m.sender or '<>')} &rarr; {_text(', '.join(m.recipients))}</tr>"
            f"<tr><th>TLS<td>{_text(m.tls)}</tr><tr><th>DKIM verified<td>{good} of {signatures}</tr>"
            f"<tr><th>Attachments<td>{_text(files or 'none')}</tr></table>"
            f"<h2>Text</h2><pre>{_text(text[:65536])}</pre><h2>As it came</h2><pre>{_text(raw)}</pre>")


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        # A foreign page that points its own name at this address must not read along.
        if self.headers.get("Host") not in self.server.hosts:
            return self._send(403, "<p>Wrong host.</p>")
        name = urllib.parse.urlsplit(self.path).path.strip("/")
        if not name:
            return self._send(200, _list(self.server))
        mails = self.server.receiver.mails
        if not name.isascii() or not name.isdigit() or not 1 <= int(name[:9]) <= len(mails):
            return self._send(404, "<p>No such mail.</p>")
        return self._send(200, _one(self.server, mails[int(name) - 1]))

    def _send(self, status, body):
        page = (f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
                f"<title>Sekisho: received</title><style>{STYLE}</style>{body}").encode()
        self.send_response(status)
        for name, value in (("Content-Type", "text/html; charset=utf-8"), ("Content-Length", len(page)),
                            ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"),
                            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args):
        pass
