"""Bounce mails, written for the tests in the formats of common servers."""

SUBSCRIBER = "reader@example.org"
OUR_ID = "<digest.1.00000000000000000000@paperboy.example>"


def dsn(
    *blocks: str,
    to: str = "bounce@bounces.paperboy.example",
    message_id: str = "<dsn-1@mx.example>",
    original_id: str = OUR_ID,
    letter: str = "Your message could not be delivered.",
    date: str = "Fri, 18 Sep 2026 05:10:00 +0000",
) -> bytes:
    """Return a delivery status notification (RFC 3464) with these recipient blocks."""
    blocks = blocks or (refused(),)
    status = "\n\n".join(["Reporting-MTA: dns; mx.example", *blocks])
    return f"""Return-Path: <>
From: MAILER-DAEMON@mx.example (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Date: {date}
Message-ID: {message_id}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b0"

--b0
Content-Type: text/plain; charset=us-ascii

{letter}

--b0
Content-Type: message/delivery-status

{status}

--b0
Content-Type: text/rfc822-headers

From: Paperboy <digest@paperboy.example>
To: {SUBSCRIBER}
Subject: New papers
Message-ID: {original_id}

--b0--
""".encode()


def refused(
    address: str = SUBSCRIBER,
    status: str = "5.1.1",
    reply: str = "smtp; 550 5.1.1 user unknown",
    action: str = "failed",
    original: str = "",
) -> str:
    """Return one recipient's block of a delivery status."""
    lines = [f"Original-Recipient: rfc822;{original}"] if original else []
    lines += [f"Final-Recipient: rfc822; {address}", f"Action: {action}", f"Status: {status}"]
    return "\n".join([*lines, f"Diagnostic-Code: {reply}"] if reply else lines)


def letter(
    body: str,
    *,
    sender: str = "MAILER-DAEMON@mx.example",
    subject: str = "failure notice",
    headers: str = "",
    to: str = "bounce@bounces.paperboy.example",
) -> bytes:
    """Return a bounce without any structure."""
    extra = f"{headers}\n" if headers else ""
    return f"From: {sender}\nTo: {to}\nSubject: {subject}\n{extra}\n{body}\n".encode()


def complaint(kind: str = "abuse", *, fields: str = "", original_id: str = OUR_ID) -> bytes:
    """Return a feedback report (RFC 5965)."""
    extra = f"{fields}\n" if fields else ""
    return f"""From: fbl@provider.example
To: bounce@bounces.paperboy.example
Subject: FW: New papers
Message-ID: <fbl-1@provider.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b0"

--b0
Content-Type: text/plain

This is an email abuse report.

--b0
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Provider/1.0
Version: 1
{extra}
--b0
Content-Type: message/rfc822

From: Paperboy <digest@paperboy.example>
To: {SUBSCRIBER}
Message-ID: {original_id}
Subject: New papers

Papers.

--b0--
""".encode()
