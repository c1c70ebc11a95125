# SPDX-License-Identifier: MIT
"""A thousand varied mails: Japanese charsets, long lines, SMTPUTF8, big attachments, odd but legal MIME. Deterministic;
canonical CRLF; each mail carries X-Bench-Id."""
import base64
import quopri
import random

JAPANESE = ("拝啓　貴社ますますご清栄のこととお慶び申し上げます。", "下記の通り、会議の日程をお知らせいたします。",
            "添付の見積書をご確認ください。金額は１２３，４５６円です。", "ﾊﾝｶｸｶﾅとカタカナ、ひらがな、漢字。",
            "表示能力ソ予申十構", "お手数ですが、ご返信をお願いいたします。敬具", "髙橋様、﨑山様")
NEC_ROW_13 = b"\x1b$B-!-j\x1b(B"  # a circled one and the abbreviation of a company, as Windows mailers write them


class Entry:
    def __init__(self, name, data, recipients, options):
        self.name, self.data, self.recipients, self.options = name, data, recipients, options


def crlf(text):
    octets = text if isinstance(text, bytes) else text.encode()
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def japanese(rnd, codec):
    lines = []
    for _ in range(rnd.randrange(3, 12)):
        line = rnd.choice(JAPANESE)
        if codec in ("iso2022_jp", "euc_jp"):  # no half-width kana, no vendor characters
            line = line.encode(codec, "ignore").decode(codec)
        lines.append(line)
    return "\n".join(lines) + "\n"


def word(text, charset, codec):
    return f"=?{charset}?B?{base64.b64encode(text.encode(codec, 'ignore')).decode()}?="


def base64_lines(octets):
    return base64.encodebytes(octets).decode()


# --- kinds: each returns (header fields after the common ones, body octets, needs 8BITMIME) -----------------------
def iso_2022_jp(rnd):
    return (f"Subject: {word('会議のお知らせ', 'ISO-2022-JP', 'iso2022_jp')}\nContent-Type: text/plain; charset=ISO-2022-JP\n"
            "Content-Transfer-Encoding: 7bit\n", japanese(rnd, "iso2022_jp").encode("iso2022_jp"), False)


def nec_row_13(rnd):
    return ("Subject: row 13\nContent-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: 7bit\n",
            NEC_ROW_13 + b"\n" + japanese(rnd, "iso2022_jp").encode("iso2022_jp"), False)


def shift_jis_8bit(rnd):
    return (f"Subject: {word('見積書の件', 'Shift_JIS', 'cp932')}\nContent-Type: text/plain; charset=Shift_JIS\n"
            "Content-Transfer-Encoding: 8bit\n", japanese(rnd, "cp932").encode("cp932", "replace"), True)


def shift_jis_base64(rnd):
    return ("Subject: sjis\nContent-Type: text/plain; charset=\"Windows-31J\"\nContent-Transfer-Encoding: base64\n",
            base64_lines(japanese(rnd, "cp932").encode("cp932", "replace")).encode(), False)


def euc_jp_8bit(rnd):
    return (f"Subject: {word('資料', 'EUC-JP', 'euc_jp')}\nContent-Type: text/plain; charset=EUC-JP\n"
            "Content-Transfer-Encoding: 8bit\n", japanese(rnd, "euc_jp").encode("euc_jp"), True)


def euc_jp_quoted(rnd):
    return ("Subject: euc\nContent-Type: text/plain; charset=euc-jp\nContent-Transfer-Encoding: Quoted-Printable\n",
            quopri.encodestring(japanese(rnd, "euc_jp").encode("euc_jp")), False)


def utf8_8bit(rnd):
    return (f"Subject: {word('ご連絡', 'UTF-8', 'utf-8')}\nContent-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: 8bit\n", (japanese(rnd, "utf-8") + "🍣 𠮷野家\n").encode(), True)


def utf8_base64(rnd):
    return ("Subject: utf-8\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: BASE64\n",
            base64_lines(japanese(rnd, "utf-8").encode()).encode(), False)


def ascii_text(rnd):
    return ("Subject: plain\n", b"".join(rnd.randbytes(30).hex().encode() + b"\n" for _ in range(rnd.randrange(1, 40))), False)


def long_lines(rnd):
    return ("Subject: " + " ".join("folded" for _ in range(20)) + "\n " + "x" * 900 + "\nReferences:"
            + "".join(f"\n <{rnd.randbytes(8).hex()}@ref.example>" for _ in range(60)) + "\n",
            b"".join(b"y" * 998 + b"\n" for _ in range(5)) + b"z" * 997 + b"\n", False)


def dots(rnd):
    return "Subject: dots\n", b".\n..\n...\n.leading\n\n.\n \n.\t\nend.\n", False


def white_space(rnd):
    return ("Subject: white space \nContent-Type: text/plain; format=flowed; delsp=yes\nX-Empty:\nX-Tab:\tvalue\nX-Tight:v\n",
            b"trailing blanks   \n\t\ttabs\t\n\n\n\nblank lines before and after\n\n\n", False)


def no_body(rnd):
    return "Subject: no body\n", None, False


def empty_body(rnd):
    return "Subject:\nContent-Type: text/plain\n", b"", False


def many_headers(rnd):
    return ("Subject: many headers\n" + "".join(f"X-Field-{n}: {rnd.randbytes(20).hex()}\n" for n in range(100)),
            b"body\n", False)


def multipart(rnd):
    data = base64_lines(rnd.randbytes(rnd.randrange(100, 20000)))
    return ("Subject: attachment\nContent-Type: multipart/mixed; boundary=\"=_outer?:(x)\"\n",
            (f"This is the preamble.\n\n--=_outer?:(x)\nContent-Type: multipart/alternative; boundary=inner\n\n"
             f"--inner\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
             f"{base64_lines('本文です。'.encode())}\n--inner\nContent-Type: text/html; charset=us-ascii\n\n"
             f"<html><body><p>body</p></body></html>\n--inner--\n\n--=_outer?:(x)\n"
             f"Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
             f"Content-Disposition: attachment; filename*=utf-8''%E8%B3%87%E6%96%99{rnd.randrange(99)}.bin\n\n{data}\n"
             f"--=_outer?:(x)--\nThis is the epilogue.\n").encode(), False)


def big_attachment(rnd):
    data = base64_lines(rnd.randbytes(rnd.randrange(800_000, 2_500_000)))
    return ("Subject: big\nContent-Type: multipart/mixed; boundary=big\n",
            (f"--big\nContent-Type: text/plain\n\nsee attachment\n--big\nContent-Type: application/x-data; name=\"data.dat\"\n"
             f"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"data.dat\"\n\n{data}--big--\n").encode(),
            False)


def forwarded(rnd):
    inner = (f"From: somebody@else.example\nTo: other@else.example\nSubject: inner\nMessage-ID: <{rnd.randbytes(6).hex()}@else.example>\n"
             "Date: Sat, 21 Nov 2026 10:00:00 +0900\nMIME-Version: 1.0\nContent-Type: text/plain\n\ninner body\n")
    return ("Subject: Fwd: inner\nContent-Type: multipart/mixed; boundary=\"fw d\"\n",
            f"--fw d\n\nimplicit text/plain\n--fw d\nContent-Type: message/rfc822\n\n{inner}\n--fw d--\n".encode(), False)


def digest(rnd):
    return ("Subject: digest\nContent-Type: multipart/digest; boundary=dd\n",
            b"--dd\n\nFrom: a@x.example\nSubject: one\n\nfirst\n\n--dd\n\nFrom: b@x.example\nSubject: two\n\nsecond\n\n--dd--\n", False)


def comments(rnd):
    return ("Subject: comments\nReply-To: (before \\( it (nested)) \"A \\\" B\" <reply@x.example> (after)\nResent-Date: Sun, 22 Nov 2026 12:00:00 +0900 (JST)\n"
            "Content-Type: text/plain;\n\tcharset=\"us-ascii\"\nContent-Disposition: inline\nContent-Language: ja, en\n", b"legal, if odd\n", False)


def related(rnd):
    return ("Subject: related\nContent-Type: multipart/related; type=\"text/html\"; boundary=r\n",
            (f"--r\nContent-Type: text/html; charset=iso-2022-jp\nContent-Transfer-Encoding: 7bit\n\n").encode()
            + "<p>画像</p><img src=\"cid:1\">\n".encode("iso2022_jp")
            + f"--r\nContent-Type: image/png\nContent-ID: <1>\nContent-Transfer-Encoding: base64\n\n{base64_lines(rnd.randbytes(700))}--r--\n".encode(),
            False)


def signed_elsewhere(rnd):
    return ("DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=list.example; s=x; h=from; bh="
            + base64.b64encode(rnd.randbytes(32)).decode() + ";\n b=" + base64.b64encode(rnd.randbytes(64)).decode() + "\n"
            "Received: from a.example by b.example; Sun, 22 Nov 2026 01:02:03 +0900\nSubject: via list\nList-Id: <l.list.example>\n",
            b"seen before\n", False)


def many_recipients(rnd):
    return "Subject: to several\n", b"to several\n", False


def smtputf8(rnd):
    return ("Subject: 生の日本語の件名\nX-Name: 山田 太郎\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n",
            japanese(rnd, "utf-8").encode(), True)


KINDS = (iso_2022_jp, nec_row_13, shift_jis_8bit, shift_jis_base64, euc_jp_8bit, euc_jp_quoted, utf8_8bit, utf8_base64,
         ascii_text, long_lines, dots, white_space, no_body, empty_body, many_headers, multipart, forwarded, digest,
         comments, related, signed_elsewhere, many_recipients, smtputf8)


def make(count, sender, domain, prefix="corpus", seed=11):
    """count entries; recipients are in domain. One in a hundred has a big attachment."""
    rnd = random.Random(seed)
    for n in range(count):
        kind = big_attachment if n % 100 == 99 else KINDS[n % len(KINDS)]
        fields, body, eight_bit = kind(rnd)
        name = f"{prefix}-{n}-{kind.__name__}"
        recipients = [f"r{n}@{domain}"]
        options = " BODY=8BITMIME" if eight_bit else ""
        if kind is many_recipients:
            recipients = [f"r{n}-{i}@{domain}" for i in range(5)]
        if kind is smtputf8:
            options += " SMTPUTF8"
            if n % 2:
                recipients = [f"山田{n}@{domain}"]
        head = (f"Date: Sun, 22 Nov 2026 12:{n // 60 % 60:02}:{n % 60:02} +0900\nFrom: Corpus <{sender}>\nTo: {recipients[0]}\n"
                f"Message-ID: <{name}@corpus.example>\nX-Bench-Id: {name}\nMIME-Version: 1.0\n{fields}")
        yield Entry(name, crlf(head) + (b"" if body is None else b"\r\n" + crlf(body)), recipients, options)
