# SPDX-License-Identifier: MIT
"""EICAR in odd MIME structures: some reader or other decodes each of these to the test file. None may be clean."""
import binascii

from corpus import HEAD, b64, crlf, tnef, zipped
import cage

CT = b"Content-Type: "
CTE = b"Content-Transfer-Encoding: "
OCTET = CT + b"application/octet-stream\r\n"
B64 = CTE + b"base64\r\n"


def _qp(b):
    return b"".join(b"=%02X" % c for c in b)


def _uu(b, name=b"eicar.com", begin=b"begin 644 "):
    lines = b"".join(binascii.b2a_uu(b[i:i + 45]) for i in range(0, len(b), 45))
    return begin + name + b"\r\n" + crlf(lines) + b"`\r\nend\r\n"


def _multi(part, boundary=b"b", head=None, preamble=b"", end=True):
    return HEAD + (head or CT + b'multipart/mixed; boundary="' + boundary + b'"\r\n') + b"\r\n" + preamble + \
        b"--" + boundary + b"\r\n" + CT + b"text/plain\r\n\r\nhello\r\n--" + boundary + b"\r\n" + part + b"\r\n--" + \
        boundary + (b"--" if end else b"") + b"\r\n"


def odd():
    """name -> octets"""
    e = cage.eicar()
    enc = b64(e)
    part = OCTET + B64 + b"\r\n" + enc
    zip_part = CT + b"application/zip\r\n" + B64 + b"\r\n" + b64(zipped(e, "eicar.com"))
    one = enc.strip()
    out = {}

    # encodings in order, to begin with
    out["base64 part"] = _multi(part)
    out["qp part"] = _multi(OCTET + CTE + b"quoted-printable\r\n\r\n" + _qp(e))
    out["7bit body"] = HEAD + b"\r\n" + e + b"\r\n"
    out["base64 root"] = HEAD + OCTET + B64 + b"\r\n" + enc
    out["zip"] = _multi(zip_part)
    out["uuencode encoding"] = _multi(OCTET + CTE + b"x-uuencode\r\n\r\n" + _uu(e))
    out["uuencode in text"] = HEAD + b"\r\nsee the file\r\n\r\n" + _uu(e) + b"\r\nbye\r\n"
    out["uuencode in text part"] = _multi(CT + b"text/plain\r\n\r\nhi\r\n" + _uu(e))
    out["uuencode without end"] = HEAD + b"\r\nx\r\n" + _uu(e).replace(b"end\r\n", b"")
    out["begin-base64"] = HEAD + b"\r\nbegin-base64 644 eicar.com\r\n" + enc + b"====\r\n"
    out["utf-7 text"] = HEAD + CT + b"text/plain; charset=utf-7\r\n\r\n" + e.replace(b"+", b"+-").replace(b"\\", b"+AFw-") + b"\r\n"
    out["utf-16 text"] = HEAD + CT + b"text/plain; charset=utf-16le\r\n" + B64 + b"\r\n" + b64(e.decode().encode("utf-16le"))
    out["ebcdic text"] = HEAD + CT + b"text/plain; charset=cp037\r\n" + B64 + b"\r\n" + b64(e.decode().encode("cp037"))
    out["yenc"] = HEAD + b"\r\n=ybegin line=128 size=68 name=eicar.com\r\n" + bytes((c + 42) & 255 for c in e) + b"\r\n=yend size=68\r\n"

    # two headers, or one that is broken
    out["two Content-Types"] = HEAD + CT + b"text/plain\r\n" + OCTET + B64 + b"\r\n" + enc
    out["two encodings, base64 first"] = _multi(OCTET + B64 + CTE + b"7bit\r\n\r\n" + enc)
    out["two encodings, base64 last"] = _multi(OCTET + CTE + b"7bit\r\n" + B64 + b"\r\n" + enc)
    out["two encodings, qp and base64"] = _multi(OCTET + CTE + b"quoted-printable\r\n" + B64 + b"\r\n" + enc)
    out["space before colon"] = _multi(OCTET + b"Content-Transfer-Encoding : base64\r\n\r\n" + enc)
    out["encoding folded over an empty line"] = _multi(OCTET + b"Content-Transfer-Encoding:\r\n \t\r\n base64\r\n\r\n" + enc)
    out["encoding with comment"] = _multi(OCTET + CTE + b"(x) base64\r\n\r\n" + enc)
    out["encoding quoted"] = _multi(OCTET + CTE + b'"base64"\r\n\r\n' + enc)
    out["encoding with semicolon"] = _multi(OCTET + CTE + b"base64;\r\n\r\n" + enc)
    out["encoding with parameter"] = _multi(OCTET + CTE + b"base64; x=y\r\n\r\n" + enc)
    out["encoding with text behind"] = _multi(OCTET + CTE + b"base64 7bit\r\n\r\n" + enc)
    out["encoding as encoded word"] = _multi(OCTET + CTE + b"=?us-ascii?Q?base64?=\r\n\r\n" + enc)
    out["unknown encoding"] = _multi(OCTET + CTE + b"x-base64\r\n\r\n" + enc)
    out["encoding without hyphen"] = _multi(OCTET + CTE + b"base 64\r\n\r\n" + enc)
    out["encoding without value"] = _multi(OCTET + CTE + b"\r\n\r\n" + enc)
    out["junk line in header"] = _multi(OCTET + b"this is no header\r\n" + B64 + b"\r\n" + enc)
    out["header name with NUL"] = _multi(OCTET + b"Content-Transfer-Encoding\0: base64\r\n\r\n" + enc)
    out["first line folded"] = _multi(b" x\r\n" + OCTET + B64 + b"\r\n" + enc)
    out["header with bare LF"] = _multi(OCTET + B64[:-2] + b"\n\r\n" + enc)
    out["header with bare CR"] = _multi(OCTET + b"X: y\rContent-Transfer-Encoding: base64\r\n\r\n" + enc)
    out["Content-Type without slash"] = HEAD + CT + b"multipart\r\n" + B64 + b"\r\n" + enc

    # boundaries
    out["no boundary parameter"] = _multi(part, head=CT + b"multipart/mixed\r\n")
    out["empty boundary"] = _multi(part, boundary=b"")
    out["two boundary parameters"] = _multi(part, head=CT + b'multipart/mixed; boundary="a"; boundary="b"\r\n')
    out["two boundary parameters, other order"] = _multi(part, head=CT + b'multipart/mixed; boundary="b"; boundary="a"\r\n')
    out["boundary in RFC 2231 form"] = _multi(part, head=CT + b"multipart/mixed; boundary*=us-ascii''b\r\n")
    out["boundary in sections"] = _multi(part, boundary=b"ab", head=CT + b"multipart/mixed; boundary*0=a; boundary*1=b\r\n")
    out["boundary with comment"] = _multi(part, head=CT + b"multipart/mixed; boundary=b(x)\r\n")
    out["boundary with backslash"] = _multi(part, boundary=b"ab", head=CT + b'multipart/mixed; boundary="a\\b"\r\n')
    out["boundary without closing quote"] = _multi(part, head=CT + b'multipart/mixed; boundary="b\r\n')
    out["boundary with text behind"] = _multi(part, head=CT + b"multipart/mixed; boundary=b c\r\n")
    out["boundary with trailing space"] = _multi(part, head=CT + b'multipart/mixed; boundary="b "\r\n')
    out["boundary as encoded word"] = _multi(part, head=CT + b'multipart/mixed; boundary="=?us-ascii?Q?b?="\r\n')
    out["very long boundary"] = _multi(part, boundary=b"x" * 300)
    out["boundary that never occurs"] = _multi(part, head=CT + b'multipart/mixed; boundary="other"\r\n')
    out["no end"] = _multi(part, end=False)
    out["cut in the part"] = HEAD + CT + b"multipart/mixed; boundary=b\r\n\r\n--b\r\n" + part
    out["indented boundary"] = _multi(part).replace(b"\r\n--b\r\nContent-Type: app", b"\r\n --b\r\nContent-Type: app")
    out["boundary line with junk"] = _multi(part).replace(b"\r\n--b\r\nContent-Type: app", b"\r\n--bx\r\nContent-Type: app")
    out["boundary in the wrong case"] = _multi(part, boundary=b"Bound").replace(b"\r\n--Bound\r\nContent-Type: app", b"\r\n--bound\r\nContent-Type: app")
    out["part after the end"] = _multi(b"\r\nx") + b"--b\r\n" + part + b"\r\n--b--\r\n"
    out["part in the preamble"] = _multi(b"\r\nx", preamble=part + b"\r\n")
    out["part in the epilogue"] = _multi(b"\r\nx") + part
    out["inner boundary is the outer one"] = _multi(CT + b"multipart/mixed; boundary=b\r\n\r\n--b\r\n" + part + b"\r\n--b--")
    out["missing empty line"] = _multi(OCTET + B64 + enc)
    out["multipart in base64"] = _multi(CT + b"multipart/mixed; boundary=c\r\n" + B64 + b"\r\n" + b64(b"--c\r\n" + part + b"\r\n--c--\r\n"))
    out["multipart in qp"] = _multi(CT + b"multipart/mixed; boundary=c\r\n" + CTE + b"quoted-printable\r\n\r\n" + b"=2D-c\r\n" + part.replace(b"=", b"=3D") + b"\r\n--c--\r\n")
    out["message in base64"] = _multi(CT + b"message/rfc822\r\n" + B64 + b"\r\n" + b64(_multi(part)))
    out["multipart deep inside"] = HEAD + _deep(part, 60)

    # broken base64 and quoted-printable
    out["base64 with junk"] = _multi(OCTET + B64 + b"\r\n" + b"!".join(one[i:i + 4] for i in range(0, len(one), 4)))
    out["base64 after padding"] = _multi(OCTET + B64 + b"\r\n" + b64(e[:34]) + b64(e[34:]))
    out["base64 after a padded word"] = _multi(OCTET + B64 + b"\r\nAA==\r\n" + enc)
    out["base64 without padding"] = _multi(OCTET + B64 + b"\r\n" + one.rstrip(b"="))
    out["base64 behind text"] = _multi(OCTET + B64 + b"\r\nSee below:\r\n\r\n" + enc)
    out["base64 behind dashes"] = _multi(OCTET + B64 + b"\r\n-\r\n" + enc)
    out["base64 with dots"] = _multi(OCTET + B64 + b"\r\n" + one.replace(b"A", b".A"))
    out["base64 in one line per character"] = _multi(OCTET + B64 + b"\r\n" + b"\r\n".join(one[i:i + 1] for i in range(len(one))))
    out["qp with white space in a soft break"] = _multi(OCTET + CTE + b"quoted-printable\r\n\r\n" + _qp(e[:30]) + b"= \t\r\n" + _qp(e[30:]))
    out["qp with broken escapes"] = _multi(OCTET + CTE + b"quoted-printable\r\n\r\n" + b"=\x01".join([_qp(e[:30]), _qp(e[30:])]))
    out["qp with half an escape"] = _multi(OCTET + CTE + b"quoted-printable\r\n\r\n" + _qp(e[:10]) + b"=5" + _qp(e[10:]))
    out["qp in lower case"] = _multi(OCTET + CTE + b"quoted-printable\r\n\r\n" + _qp(e).lower())

    # messages inside
    out["forwarded"] = _multi(CT + b"message/rfc822\r\n\r\n" + _multi(part, boundary=b"inner"))
    out["saved eml"] = _multi(CT + b'application/octet-stream; name="x.eml"\r\n' + B64 + b"\r\n" + b64(_multi(part)))
    out["saved eml with LF"] = _multi(CT + b'application/octet-stream; name="x.eml"\r\n' + B64 + b"\r\n" + b64(_multi(part).replace(b"\r\n", b"\n")))
    out["odd eml in a zip"] = _multi(CT + b"application/zip\r\n" + B64 + b"\r\n" + b64(zipped(out["two encodings, base64 first"], "x.eml")))
    out["eml in a zip"] = _multi(CT + b"application/zip\r\n" + B64 + b"\r\n" + b64(zipped(_multi(zip_part), "x.eml")))
    out["fragment"] = HEAD + CT + b'message/partial; id="a@b"; number=1; total=2\r\n\r\n' + _multi(part)[:-100]
    out["external body"] = HEAD + CT + b"message/external-body; access-type=local-file; name=eicar.com\r\n\r\n" + OCTET + B64 + b"\r\n" + enc
    out["digest without types"] = HEAD + CT + b"multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n" + HEAD + OCTET + B64 + b"\r\n" + enc + b"\r\n--b--\r\n"
    out["tnef"] = _multi(CT + b"application/ms-tnef\r\n" + B64 + b"\r\n" + b64(tnef([(b"eicar.com", e)])))
    out["smime opaque"] = HEAD + CT + b"application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\n" + B64 + b"\r\n" + b64(b"\x30\x80" + part)
    out["smime encrypted"] = HEAD + CT + b"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n" + B64 + b"\r\n" + b64(b"\x30\x80" + b"\5" * 200)
    out["pgp encrypted"] = HEAD + CT + b"multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\n" + CT + b"application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n" + CT + b"application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nabc\r\n-----END PGP MESSAGE-----\r\n--b--\r\n"
    out["NUL in the body"] = _multi(OCTET + B64 + b"\r\n" + one[:20] + b"\0" + one[20:])
    out["bare LF in the body"] = _multi(OCTET + B64 + b"\r\n" + one[:20] + b"\n" + one[20:])
    out["whole mail with LF"] = _multi(part).replace(b"\r\n", b"\n")
    out["boundary after bare LF"] = _multi(part).replace(b"\r\n--b\r\nContent-Type: app", b"\n--b\r\nContent-Type: app")
    return out


def _deep(part, n):
    for i in range(n):
        part = CT + b'multipart/mixed; boundary="d%d"\r\n\r\n--d%d\r\n%s\r\n--d%d--\r\n' % (i, i, part, i)
    return part
