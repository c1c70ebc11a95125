# SPDX-License-Identifier: MIT
"""Mails for the tests of the cage: ordinary ones, and EICAR in odd structures. All canonical (CRLF)."""
import base64
import io
import pathlib
import quopri
import struct
import zipfile
import zlib
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, SMTPUTF8

import cage

HEAD = b"From: taro@example.jp\r\nTo: hanako@example.com\r\nSubject: test\r\nDate: Sun, 22 Nov 2026 03:04:05 +0900\r\n" \
       b"Message-ID: <1@example.jp>\r\nMIME-Version: 1.0\r\n"


def crlf(b):
    return b.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def b64(b, width=76):
    text = base64.b64encode(b)
    return b"\r\n".join(text[i:i + width] for i in range(0, len(text), width)) + b"\r\n"


def zipped(content, name="file.bin", method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        z.writestr(name, content)
    return out.getvalue()


# --- ordinary mail ------------------------------------------------------------------------------------------

def _new(subject="お知らせ", policy=SMTP):
    m = EmailMessage(policy=policy)
    m["From"] = "山田太郎 <taro@example.jp>" if policy is SMTP else "山田太郎 <太郎@例え.jp>"
    m["To"] = "hanako@example.com"
    m["Subject"] = subject
    m["Date"] = "Sun, 22 Nov 2026 03:04:05 +0900"
    m["Message-ID"] = "<1@example.jp>"
    return m


JAPANESE = "お世話になっております。①㈱山田商事の髙橋です。\r\nｱｲｳ半角カナ、～波線。\r\n"


def _text(charset, cte=None, text=JAPANESE):
    m = MIMEText(text, "plain", charset)
    for k, v in (("From", "taro@example.jp"), ("To", "hanako@example.com"), ("Subject", "charset")):
        m[k] = v
    if cte:
        del m["Content-Transfer-Encoding"]
        m["Content-Transfer-Encoding"] = cte
    return crlf(m.as_bytes())


def _attach(kind, data, name, main="application"):
    m = _new()
    m.set_content(JAPANESE)
    m.add_attachment(data, maintype=main, subtype=kind, filename=name)
    return m.as_bytes()


def tnef(attachments):
    """A winmail.dat (MS-OXTNEF) with a version, a code page and attachments."""
    def attribute(level, ident, data):
        return bytes([level]) + struct.pack("<II", ident, len(data)) + data + struct.pack("<H", sum(data) & 0xffff)
    out = struct.pack("<IH", 0x223E9F78, 1)
    out += attribute(1, 0x00089006, struct.pack("<I", 0x10000))
    out += attribute(1, 0x00069007, struct.pack("<II", 932, 0))
    out += attribute(1, 0x00018004, b"subject\0")
    for name, data in attachments:
        out += attribute(2, 0x00069002, b"\1\0" + b"\xff\xff\xff\xff" + b"\0" * 8)
        out += attribute(2, 0x00018010, name + b"\0")
        out += attribute(2, 0x0006800F, data)
    return out


def ordinary():
    """name -> octets; every one must be clean."""
    out = {}
    out["plain"] = HEAD + b"\r\nhello\r\n"
    out["no MIME-Version"] = b"From: a@example.jp\r\nTo: b@example.com\r\nSubject: x\r\n\r\nhello\r\n"
    out["empty body"] = HEAD + b"\r\n"
    out["header only"] = HEAD
    out["no subject"] = b"From: a@example.jp\r\n\r\nx\r\n"
    for cs in ("iso-2022-jp-3", "cp932", "euc_jis_2004", "utf-8"):
        name = {"iso-2022-jp-3": "iso-2022-jp", "cp932": "Shift_JIS", "euc_jis_2004": "EUC-JP"}.get(cs, cs)
        body = JAPANESE.replace("髙", "高").replace("～", "").encode(cs, "replace")
        cte = b"7bit" if name == "iso-2022-jp" else b"8bit"
        out["text " + name] = HEAD + b"Content-Type: text/plain; charset=" + name.encode() + \
            b"\r\nContent-Transfer-Encoding: " + cte + b"\r\n\r\n" + body
        out["base64 text " + name] = HEAD + b"Content-Type: text/plain; charset=\"" + name.encode() + \
            b"\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64(body)
        out["qp text " + name] = HEAD + b"Content-Type: text/plain; charset=" + name.encode() + \
            b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + crlf(quopri.encodestring(body))
    out["raw 8-bit header"] = b"From: a@example.jp\r\nSubject: " + "日本語".encode("cp932") + b"\r\n\r\nx\r\n"
    m = _new(policy=SMTPUTF8)
    m.set_content(JAPANESE, cte="8bit")
    out["SMTPUTF8"] = m.as_bytes()
    out["long lines"] = HEAD + b"\r\n" + b"x" * 100000 + b"\r\n" + b"y" * 998 + b"\r\n"
    out["long unfolded header"] = HEAD + b"X-Long: " + b"z" * 5000 + b"\r\n\r\nx\r\n"
    out["folded header"] = HEAD + b"References: <a@b>\r\n <c@d>\r\n\t<e@f>\r\n\r\nx\r\n"
    m = _new()
    m.set_content(JAPANESE)
    m.add_alternative("<html><head><title>t</title><style>p{}</style></head><body><p>お世話<b>に</b>なります"
                      "&amp;&nbsp;&#9312;</p></body></html>", subtype="html")
    out["alternative"] = m.as_bytes()
    m.get_payload()[1].add_related(b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "image", "png", cid="<a@b>")
    out["related"] = m.as_bytes()
    m.add_attachment(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n", maintype="application",
                     subtype="pdf", filename="見積書.pdf")
    out["mixed with related"] = m.as_bytes()
    out["text attachment"] = _attach("plain", b"just text\n", "メモ.txt", main="text")
    out["binary attachment"] = _attach("octet-stream", bytes(range(256)) * 40, "data.bin")
    out["zip attachment"] = _attach("zip", zipped(b"hello " * 100, "a.txt"), "書類.zip")
    out["stored zip"] = _attach("zip", zipped(b"hello " * 100, "a.txt", zipfile.ZIP_STORED), "s.zip")
    out["bzip2 zip"] = _attach("zip", zipped(b"hello " * 100, "a.txt", zipfile.ZIP_BZIP2), "b.zip")
    out["zip with folder and empty file"] = _attach("zip", _zip_many(), "m.zip")
    out["empty zip"] = _attach("zip", b"PK\5\6" + b"\0" * 18, "e.zip")
    out["docx"] = _attach("vnd.openxmlformats-officedocument.wordprocessingml.document", _docx(), "文書.docx")
    out["gzip"] = _attach("gzip", _gzip(b"hello\n" * 50), "h.gz")
    out["tar.gz"] = _attach("gzip", _targz(), "h.tar.gz")
    out["png"] = _attach("png", _png(), "i.png", main="image")
    out["csv"] = _attach("csv", "名前,金額\n山田,1000\n".encode("cp932"), "表.csv", main="text")
    out["ics"] = _attach("calendar", b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n", "i.ics", main="text")
    out["empty attachment"] = _attach("octet-stream", b"", "empty.bin")
    out["tnef without attachments"] = _attach("ms-tnef", tnef([]), "winmail.dat")
    out["tnef with attachment"] = _attach("ms-tnef", tnef([(b"a.txt", b"hello hello hello\r\n")]), "winmail.dat")
    fwd = MIMEMultipart("mixed")
    fwd["From"], fwd["To"], fwd["Subject"] = "a@example.jp", "b@example.com", "Fwd: x"
    fwd.attach(MIMEText("see below", "plain", "utf-8"))
    fwd.attach(MIMEMessage(_new()))
    out["forwarded message"] = crlf(fwd.as_bytes())
    inner = _new()
    inner.set_content(JAPANESE)
    inner.add_attachment(b"a" * 1000, maintype="application", subtype="octet-stream", filename="a.bin")
    fwd = MIMEMultipart("mixed")
    fwd["From"], fwd["Subject"] = "a@example.jp", "Fwd: x"
    fwd.attach(MIMEMessage(inner))
    out["forwarded with attachment"] = crlf(fwd.as_bytes())
    out["eml as file"] = _attach("octet-stream", inner.as_bytes(), "saved.eml")
    digest = MIMEMultipart("digest")
    digest["From"] = "a@example.jp"
    digest.attach(MIMEMessage(_new()))
    digest.attach(MIMEMessage(_new("2")))
    out["digest"] = crlf(digest.as_bytes())
    out["smime signed"] = HEAD + (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n micalg=sha-256; boundary="sig"\r\n'
        b"\r\nThis is an S/MIME signed message\r\n\r\n--sig\r\nContent-Type: text/plain\r\n\r\nsigned text\r\n"
        b"--sig\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=smime.p7s\r\n\r\n" + b64(b"\x30\x82\x01\x00" + b"\x02" * 256) +
        b"--sig--\r\n")
    out["pgp signed"] = HEAD + (
        b'Content-Type: multipart/signed; micalg="pgp-sha256"; protocol="application/pgp-signature"; boundary="p"\r\n'
        b"\r\n--p\r\nContent-Type: text/plain\r\n\r\ntext\r\n--p\r\nContent-Type: application/pgp-signature\r\n\r\n"
        b"-----BEGIN PGP SIGNATURE-----\r\n\r\niQEzBAEBCAAdFiEE\r\n-----END PGP SIGNATURE-----\r\n--p--\r\n")
    out["dsn"] = HEAD + (
        b"Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n"
        b'\tboundary="AAA.1/mx.example.jp"\r\n\r\nThis is a MIME-encapsulated message.\r\n\r\n--AAA.1/mx.example.jp\r\n'
        b"Content-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nfailed\r\n\r\n"
        b"--AAA.1/mx.example.jp\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n"
        b"Reporting-MTA: dns; mx.example.jp\r\nArrival-Date: Sun, 22 Nov 2026 03:04:05 +0900\r\n\r\n"
        b"Final-Recipient: rfc822; a@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--AAA.1/mx.example.jp\r\n"
        b"Content-Description: Undelivered Message Headers\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        b"From: a@example.jp\r\nSubject: x\r\n\r\n--AAA.1/mx.example.jp--\r\n")
    out["dsn with message"] = out["dsn"].replace(b"text/rfc822-headers", b"message/rfc822")
    out["mdn"] = HEAD + (
        b"Content-Type: multipart/report; report-type=disposition-notification; boundary=m\r\n\r\n--m\r\n\r\nread\r\n"
        b"--m\r\nContent-Type: message/disposition-notification\r\n\r\nFinal-Recipient: rfc822;a@b.jp\r\n"
        b"Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--m--\r\n")
    out["rfc2231 name"] = HEAD + (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: application/pdf\r\n"
        b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n"
        b" filename*0*=iso-2022-jp''%1B%24B%46%7C;\r\n filename*1*=%4B%5C%1B%28B;\r\n filename*2=.pdf\r\n\r\n" +
        b64(b"%PDF-1.4\n") + b"--b--\r\n")
    out["encoded-word name"] = HEAD + (
        b'Content-Type: application/pdf; name="=?ISO-2022-JP?B?GyRCRnxLXBsoQi5wZGY=?="\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b64(b"%PDF-1.4\n"))
    out["raw 8-bit name"] = HEAD + b'Content-Type: application/octet-stream; name="' + "見積.dat".encode("cp932") + \
        b'"\r\nContent-Transfer-Encoding: base64\r\n\r\n' + b64(b"data" * 20)
    out["outlook boundaries"] = HEAD + (
        b'Content-Type: multipart/mixed;\r\n\tboundary="----=_NextPart_000_0001_01D0.ABCD"\r\n\r\n'
        b"This is a multi-part message in MIME format.\r\n\r\n------=_NextPart_000_0001_01D0.ABCD\r\n"
        b'Content-Type: multipart/alternative;\r\n\tboundary="----=_NextPart_001_0002_01D0.ABCD"\r\n\r\n\r\n'
        b'------=_NextPart_001_0002_01D0.ABCD\r\nContent-Type: text/plain;\r\n\tcharset="iso-2022-jp"\r\n'
        b"Content-Transfer-Encoding: 7bit\r\n\r\ntext\r\n\r\n------=_NextPart_001_0002_01D0.ABCD\r\n"
        b'Content-Type: text/html;\r\n\tcharset="iso-2022-jp"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
        b"<p>a=3Db</p>=\r\n\r\n\r\n------=_NextPart_001_0002_01D0.ABCD--\r\n\r\n"
        b"------=_NextPart_000_0001_01D0.ABCD--\r\n")
    out["prefix boundaries"] = HEAD + (
        b'Content-Type: multipart/mixed; boundary="=_abc"\r\n\r\n--=_abc\r\nContent-Type: multipart/alternative; '
        b'boundary="=_abc_alt"\r\n\r\n--=_abc_alt\r\n\r\nx\r\n--=_abc_alt\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n'
        b"--=_abc_alt--\r\n\r\n--=_abc--\r\n")
    out["list footer in epilogue"] = out["alternative"] + b"\r\n_______________\r\nlist mailing list\r\n"
    out["quoted mail in text"] = HEAD + b"\r\n> From: x@example.com\r\n> Content-Type: text/plain\r\n>\r\n> hi\r\n"
    out["text like a mail"] = HEAD + b"\r\nFrom: x@example.com\r\nSent: Monday\r\nTo: y\r\nSubject: z\r\n\r\nhi there\r\n"
    out["text about uuencode"] = HEAD + b"\r\nbegin 644 readme.txt\r\nis how a uuencoded file begins.\r\n"
    out["feedback report"] = HEAD + (
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=f\r\n\r\n--f\r\n\r\nspam\r\n--f\r\n"
        b"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n\r\n--f\r\n"
        b"Content-Type: message/rfc822\r\n\r\nFrom: a@b.jp\r\n\r\nbody\r\n--f--\r\n")
    out["html only"] = HEAD + b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + \
        "<!DOCTYPE html><html><body><script>var a='<p>';</script>こんにちは</body></html>\r\n".encode()
    out["binary cte"] = HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nx\r\n"
    out["upper case"] = HEAD + b"CONTENT-TYPE: TEXT/PLAIN; CHARSET=UTF-8\r\nCONTENT-TRANSFER-ENCODING: BASE64\r\n\r\n" + b64(b"hi there")
    out["part without header"] = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
    out["empty parts"] = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n--b--\r\n"
    deep = b"Content-Type: text/plain\r\n\r\ndeep\r\n"
    for i in range(8):
        deep = b"Content-Type: multipart/mixed; boundary=\"n%d\"\r\n\r\n--n%d\r\n%s\r\n--n%d--\r\n" % (i, i, deep, i)
    out["nested multiparts"] = HEAD + deep
    out["many parts"] = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(
        b"--b\r\nContent-Type: text/plain\r\n\r\npart %d\r\n" % i for i in range(200)) + b"--b--\r\n"
    out["many received"] = b"".join(b"Received: from a (b [192.0.2.1])\r\n\tby c; Sun, 22 Nov 2026 03:04:05 +0900\r\n"
                                    for _ in range(30)) + HEAD + b"\r\nx\r\n"
    return out


def _zip_many():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("folder/", b"")
        z.writestr("folder/empty.txt", b"")
        z.writestr("folder/tiny.txt", b"abc")
        z.writestr("folder/text.txt", b"hello world\n" * 20)
        z.writestr("日本語.txt", "こんにちは\n".encode() * 20)
    return out.getvalue()


def _docx():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("[Content_Types].xml", '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>')
        z.writestr("_rels/.rels", '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"/>')
        z.writestr("word/document.xml", '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>文書</w:t></w:r></w:p></w:body></w:document>')
    return out.getvalue()


def _gzip(data):
    import gzip
    return gzip.compress(data)


def _targz():
    import tarfile
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as t:
        info = tarfile.TarInfo("a.txt")
        info.size = 100
        t.addfile(info, io.BytesIO(b"x" * 100))
    return out.getvalue()


def _png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + \
        chunk(b"IDAT", zlib.compress(b"\0\0\0\0")) + chunk(b"IEND", b"")
