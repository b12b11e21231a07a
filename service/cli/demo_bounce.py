"""A bounce for the demo: the mailbox of one sample subscriber is given up, and its server says so."""

from datetime import datetime
from email import message_from_bytes
from email.policy import default
from email.utils import format_datetime

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.record import Channel, record_bounce_mail
from service.platform.dev_mailbox import list_messages, load_message
from service.platform.settings.settings import Settings

# A delivery status notification (RFC 3464), with the Message-ID that proves that the mail was ours.
_NOTICE = """\
From: MAILER-DAEMON@example.org (Mail Delivery System)
To: {sender}
Subject: Undelivered Mail Returned to Sender
Date: {date}
Message-ID: <bounce.{original}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b0"

--b0
Content-Type: text/plain; charset=us-ascii

Nobody has this mailbox any more.

--b0
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; {email}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 user unknown

--b0
Content-Type: text/rfc822-headers

To: {email}
Message-ID: <{original}

--b0--
"""


def return_last_mail(
    sessions: sessionmaker[Session], settings: Settings, email: str, now: datetime
) -> None:
    """Return the newest mail to an address as undeliverable; doing it twice is harmless."""
    maildir = settings.data_dir / "mailbox"
    for stored in list_messages(maildir):
        if email not in stored.to:
            continue
        message = message_from_bytes(load_message(maildir, stored.key), policy=default)
        notice = _NOTICE.format(
            sender=stored.sender,
            date=format_datetime(now),
            original=str(message["Message-ID"]).lstrip("<"),
            email=email,
        )
        record_bounce_mail(sessions, Channel(settings, "demo"), notice.encode(), now)
        return
