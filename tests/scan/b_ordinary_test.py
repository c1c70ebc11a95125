# SPDX-License-Identifier: MIT
"""Ordinary mail is clean, and its facts are right."""
import hashlib

import pytest

import cage
import corpus

MAILS = corpus.ordinary()


def jis(text):
    """ISO-2022-JP as Japanese mailers write it: row 13 and half-width katakana included."""
    out, mode = b"", b""
    for ch in text:
        if ord(ch) < 0x80:
            want, raw = b"\x1b(B", ch.encode()
        elif "｡" <= ch <= "ﾟ":
            want, raw = b"\x1b(I", bytes([ch.encode("cp932")[0] & 0x7f])
        else:
            hi, lo = ch.encode("cp932")
            hi = ((hi - (0x71 if hi < 0xa0 else 0xb1)) << 1) + (1 if lo < 0x9f else 2)
            lo -= 0x7e if lo >= 0x9f else (0x1f if lo < 0x7f else 0x20)
            want, raw = b"\x1b$B", bytes([hi, lo])
        out, mode = out + (want if want != mode else b"") + raw, want
    return out + (b"" if mode in (b"", b"\x1b(B") else b"\x1b(B")


@pytest.mark.parametrize("name", MAILS)
def test_clean(shared, name):
    facts = shared.inspect(MAILS[name])
    assert facts.verdict == cage.pb.Facts.CLEAN, facts.reason


@pytest.mark.parametrize("name", MAILS)
def test_part_map(shared, name):
    """Every range is exact: fields cover the header, parts hold what they say."""
    mail = MAILS[name]
    facts = shared.inspect(mail)
    assert facts.size == len(mail) and facts.sha256 == hashlib.sha256(mail).digest()
    fields = [mail[f.offset:f.offset + f.length] for f in facts.fields]
    assert b"".join(fields) == mail[:facts.header_length]
    for f, field in zip(facts.fields, fields):
        assert field[f.name_length:f.name_length + 1] == b":" and field.endswith(b"\r\n")
    assert mail[facts.header_length:facts.header_length + 2] in (b"\r\n", b"")
    root = facts.parts[0]
    assert root.parent == -1 and root.body_offset + root.body_length == len(mail)
    for p in facts.parts[1:]:
        up = facts.parts[p.parent]
        assert up.body_offset <= p.header_offset
        assert p.body_offset + p.body_length <= up.body_offset + up.body_length
        if up.content_type.startswith("multipart/"):
            assert mail[:p.header_offset].rsplit(b"\r\n", 2)[-2].startswith(b"--")
            assert mail[p.body_offset + p.body_length:].startswith(b"\r\n--")
    assert facts.longest_line == max(len(x) for x in mail.split(b"\r\n"))


@pytest.mark.parametrize("charset, encode", [
    ("iso-2022-jp", jis), ("Shift_JIS", lambda t: t.encode("cp932")), ("windows-31j", lambda t: t.encode("cp932")),
    ("utf-8", str.encode), ("utf-16", lambda t: t.encode("utf-16")), ("", str.encode), ("", jis),
    ("no-such-charset", str.encode),
])
@pytest.mark.parametrize("cte", ["8bit", "base64", "quoted-printable"])
def test_japanese_text(shared, charset, encode, cte):
    body = encode("①㈱山田の髙橋です ｱｲｳ Ａ")
    if cte == "base64":
        body = corpus.b64(body)
    elif cte == "quoted-printable":
        body = b"".join(b"=%02X" % c for c in body)
    elif b"\0" in body:
        return
    mail = corpus.HEAD + b"Content-Type: text/plain" + (b"; charset=" + charset.encode() if charset else b"") + \
        b"\r\nContent-Transfer-Encoding: " + cte.encode() + b"\r\n\r\n" + body
    facts = shared.inspect(mail)
    assert facts.verdict == cage.pb.Facts.CLEAN, facts.reason
    assert facts.text.strip() == "1(株)山田の髙橋です アイウ A"


def test_header_facts(shared):
    mail = (b"Received: a\r\nReceived: b\r\nFrom: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <Taro@EXAMPLE.JP>\r\n"
            b"To: \"Suzuki, Hanako\" <h@example.com>, list: a@b.example, c@d.example;, e@f.example (E)\r\n"
            b"Cc: x@" + "例え.jp".encode() + b"\r\nReply-To: <r@example.jp>\r\nSubject: =?UTF-8?B?5pel?=\r\n"
            b" =?UTF-8?B?5pys?= x\r\nAuto-Submitted: auto-replied\r\nMessage-ID: <a@b>\r\n\r\nx\r\n")
    f = shared.inspect(mail)
    assert [(a.display, a.addr) for a in f.__getattribute__("from")] == [("山田", "Taro@example.jp")]
    assert [(a.display, a.addr) for a in f.to] == [
        ("Suzuki, Hanako", "h@example.com"), ("", "a@b.example"), ("", "c@d.example"), ("E", "e@f.example")]
    assert f.cc[0].addr == "x@xn--r8jz45g.jp" and f.reply_to[0].addr == "r@example.jp"
    assert f.subject == "日本 x" and f.received_count == 2 and f.auto_submitted and f.message_id == "<a@b>"
    assert f.has_from and f.has_message_id and not f.has_date and f.utf8_header and not f.eight_bit


def test_text_is_cut_at_the_bound(shared):
    mail = corpus.HEAD + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + \
        "あいうえお\r\n".encode() * 40000
    f = shared.inspect(mail)
    assert f.text_truncated and 512 * 1024 - 3 <= len(f.text.encode()) <= 512 * 1024
    assert not shared.inspect(corpus.HEAD + b"\r\nx\r\n").text_truncated


def test_attachments(shared):
    data = corpus.zipped(b"x" * 1000)
    f = shared.inspect(corpus._attach("octet-stream", data, "../../etc/書類.zip"))
    assert len(f.attachments) == 1
    a = f.attachments[0]
    assert a.name == "書類.zip" and a.declared_type == "application/octet-stream"
    assert a.detected_type == "application/zip" and a.size == len(data)
    assert a.sha256 == hashlib.sha256(data).digest() and not a.encrypted
    assert f.parts[a.part].disposition == "attachment" and f.parts[a.part].encoding == "base64"
