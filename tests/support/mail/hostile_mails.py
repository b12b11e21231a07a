"""Mails to the bounce address by which a stranger may try to stop, fill or crash its parser."""

import base64

_HEAD = b"From: MAILER-DAEMON@mx.example\nSubject: failure notice\nMIME-Version: 1.0\n"
_LAYER = b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n'
_HTML = _HEAD + b"Content-Type: text/html\n\n"

# So deep that Python's parser ends with a RecursionError, wherever it is called.
TOO_DEEP = b"From: MAILER-DAEMON@mx.example\n" + b"".join(
    b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(5_000)
)
# Each needs more than its budget, whatever the machine.
BEYOND_BUDGET = {
    "nested parts": _LAYER * 90_000,
    "a million headers": b"a:\n" * 1_600_000 + b"\nx",
    "ten megabytes of base64": _HEAD
    + b"Content-Transfer-Encoding: base64\n\n"
    + base64.encodebytes(b"550 user unknown " * 430_000),
    "numbered parameters": b"Content-Type: text/plain; "
    + b"; ".join(b"a*%d*=x" % number for number in range(300_000))
    + b"\n\nx",
    "empty parts": _HEAD
    + b'Content-Type: multipart/mixed; boundary="b"\n\n'
    + b"--b\n\n" * 990_000,
}
# Each was slow or may be in a careless parser, and is parsed.
WITHIN_BUDGET = {
    "opening tags": _HTML + b"<style" * 6_700,
    "opening tags in megabytes": _HTML + b"<br<style" * 200_000,
    "opening comments": _HTML + b"<!--" * 400_000,
    "quoted-printable": _HEAD
    + b"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n"
    + b"=3D" * 500_000,
    "encoded words": b"From: MAILER-DAEMON@mx.example\nSubject: "
    + b"=?utf-8?q?=41?= " * 300_000
    + b"\n\nx",
    "100,000 addresses": b"From: MAILER-DAEMON@mx.example\nTo: "
    + b", ".join(b"a%d@example.org" % number for number in range(100_000))
    + b"\nSubject: failure notice\n\nx",
    "a line of signs": _HEAD + b"\n" + b"a@" * 400_000,
    "surrogates of UTF-7": _HEAD
    + b"Content-Type: text/plain; charset=utf-7\n\n+2AA- unknown user\n",
    "nothing": b"",
}
