"""A mail program unsubscribes by mail: exactly that subscriber, once, and nobody by forgery."""

import re
import smtplib
from email.message import EmailMessage
from mailbox import Maildir
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs
from support.mail.bounce_mails import complaint, dsn
from support.mail.imap_server import LOGIN, ImapServer
from support.newsletter.bounce_press import outcomes, reason_for, take
from support.newsletter.press import PlannedTransport, Press, dump_tables, read_mail

from service.bounces.record import fetch_bounce_mailbox, open_listener
from service.bounces.store.bounces import count_verdicts
from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.return_path import Leaving, make_unsubscribe_address
from service.deliveries.domain.states import BounceVerdict, DeliveryKind
from service.sending.deliver import deliver
from service.subscribers.lifecycle import erase, undo_unsubscribe
from service.subscribers.store.models import Subscriber

ANNE, BERT = "anne@example.org", "bert@example.org"
ACTIVE, UNSUBSCRIBED = SubscriberState.ACTIVE, SubscriberState.UNSUBSCRIBED

pytestmark = pytest.mark.settings(bounce_mailbox="listener")


def send_digests(press: Press) -> dict[str, EmailMessage]:
    """Send a digest to Anne and to Bert; return the mails by recipient."""
    press.add_subscribers(ANNE, BERT)
    press.add_papers(1)
    press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    return {sent.recipient: read_mail(sent.payload) for sent in transport.sent}


def mail_of(
    digest: EmailMessage, *, sender: str = ANNE, headers: str = "", number: int = 1
) -> bytes:
    """Return the mail that a mail program makes of the mailto: in List-Unsubscribe."""
    (mailto,) = re.findall(r"<(mailto:[^>]+)>", str(digest["List-Unsubscribe"]))
    parts = urlsplit(mailto)
    (subject,) = parse_qs(parts.query)["subject"]
    extra = f"{headers}\n" if headers else ""
    return (
        f"From: {sender}\nTo: {parts.path}\nSubject: {subject}\n"
        f"Date: Fri, 18 Sep 2026 05:10:00 +0000\nMessage-ID: <{number}@mail.example>\n{extra}\n\n"
    ).encode()


def states(press: Press) -> dict[str, SubscriberState]:
    with press.sessions() as session:
        return {one.email: one.state for one in session.scalars(select(Subscriber))}


@pytest.mark.parametrize("lmtp", [False, True])
def test_a_mail_to_the_listener_unsubscribes_exactly_its_subscriber(
    press: Press, *, lmtp: bool
) -> None:
    raw = mail_of(send_digests(press)[ANNE])
    address = str(read_mail(raw)["To"])
    listener = open_listener(press.sessions, press.settings, press.clock, lmtp=lmtp)
    with listener.start() as started:
        kind = smtplib.LMTP if lmtp else smtplib.SMTP
        with kind("127.0.0.1", started.port) as client:
            client.sendmail(ANNE, [address], raw)
            client.sendmail(ANNE, [address], raw)
            for foreign in (
                address.replace("unsubscribe+1", "unsubscribe+2"),
                address.replace("@bounces.", "@other."),
                make_unsubscribe_address(
                    Leaving(2, bytes(8)), press.settings.bounce_domain, "somebody else's key"
                ),
            ):
                with pytest.raises(smtplib.SMTPRecipientsRefused):
                    client.sendmail(ANNE, [foreign], raw)
    assert states(press) == {ANNE: UNSUBSCRIBED, BERT: ACTIVE}
    with press.sessions() as session:
        counts = count_verdicts(session, press.clock.now.replace(hour=0))
    assert counts == {BounceVerdict.UNSUBSCRIBE: 1}


def test_a_mail_in_a_maildir_unsubscribes(press: Press, tmp_path: Path) -> None:
    Maildir(tmp_path / "box", create=True).add(mail_of(send_digests(press)[BERT], sender=BERT))
    settings = press.settings.model_copy(update={"bounce_mailbox": f"maildir:{tmp_path}/box"})
    total = fetch_bounce_mailbox(press.sessions, settings, press.clock)
    assert (dict(total.outcomes), dict(total.verdicts)) == ({"unsubscribed": 1}, {"unsubscribe": 1})
    assert states(press) == {ANNE: ACTIVE, BERT: UNSUBSCRIBED}


def test_a_mail_in_an_imap_folder_unsubscribes(press: Press) -> None:
    with ImapServer({1: mail_of(send_digests(press)[ANNE])}) as server:
        url = f"imap://{LOGIN[0]}:{LOGIN[1]}@127.0.0.1:{server.port}".replace(" ", "%20")
        settings = press.settings.model_copy(update={"bounce_mailbox": url})
        assert dict(fetch_bounce_mailbox(press.sessions, settings, press.clock).outcomes) == {
            "unsubscribed": 1
        }
    assert states(press)[ANNE] is UNSUBSCRIBED


def test_the_sender_does_not_matter_since_mail_is_often_forwarded(press: Press) -> None:
    raw = mail_of(send_digests(press)[ANNE], sender="Postmaster <postmaster@elsewhere.example>")
    with capture_logs() as lines:
        assert outcomes(take(press, raw)) == ["unsubscribed"]
    (line,) = (line for line in lines if line["event"].startswith("bounce"))
    assert (line["event"], line["outcome"], line["subscriber_id"]) == ("bounce", "unsubscribed", 1)
    assert states(press)[ANNE] is UNSUBSCRIBED


def test_nothing_is_answered(press: Press) -> None:
    take(press, mail_of(send_digests(press)[ANNE]))
    assert {row.kind for row in press.rows()} == {DeliveryKind.DIGEST}


def test_an_old_mail_that_is_read_again_does_not_end_a_new_subscription(press: Press) -> None:
    digest = send_digests(press)[ANNE]
    raw = mail_of(digest)
    assert outcomes(take(press, raw)) == ["unsubscribed"]
    with press.sessions.begin() as session:
        assert undo_unsubscribe(session, 1, press.clock())
    assert outcomes(take(press, raw)) == ["known"]
    assert states(press)[ANNE] is ACTIVE
    # A new mail does, even from an old digest.
    assert outcomes(take(press, mail_of(digest, number=2))) == ["unsubscribed"]
    assert states(press)[ANNE] is UNSUBSCRIBED


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: Auto-Replied (vacation)",
        "Auto-Submitted: auto-notified; owner-email=x@example.org",
        "X-Autoreply: yes",
        "Precedence: auto_reply",
        "Return-Path: <>",
    ],
)
def test_an_auto_reply_unsubscribes_nobody(press: Press, headers: str) -> None:
    raw = mail_of(send_digests(press)[ANNE], headers=headers)
    before = dump_tables(press.sessions)
    assert outcomes(take(press, raw)) == ["unattributed"]
    assert dump_tables(press.sessions) == before


def test_a_button_may_say_that_it_generated_the_mail(press: Press) -> None:
    raw = mail_of(send_digests(press)[ANNE], headers="Auto-Submitted: auto-generated")
    assert outcomes(take(press, raw)) == ["unsubscribed"]


def test_bounces_and_complaints_to_the_address_unsubscribe_nobody(press: Press) -> None:
    address = str(read_mail(mail_of(send_digests(press)[ANNE]))["To"])
    assert outcomes(take(press, dsn(to=address), address)) == ["unattributed"]
    assert outcomes(take(press, complaint(), address)) == ["unattributed"]
    assert states(press)[ANNE] is ACTIVE


def test_apples_button_unsubscribes_and_is_no_complaint(press: Press) -> None:
    raw = mail_of(send_digests(press)[ANNE], headers="X-Apple-Unsubscribe: true")
    assert outcomes(take(press, raw)) == ["unsubscribed"]
    assert reason_for(press, ANNE) is None


def test_a_mail_of_someone_who_was_erased_is_no_error(press: Press) -> None:
    raw = mail_of(send_digests(press)[ANNE])
    with press.sessions.begin() as session:
        erase(session, session.get_one(Subscriber, 1), press.settings.secret_key, press.clock())
    assert outcomes(take(press, raw)) == ["known"]


def test_forged_addresses_in_a_mailbox_are_only_counted(press: Press) -> None:
    raw = mail_of(send_digests(press)[ANNE])
    forged = raw.replace(b"unsubscribe+1-", b"unsubscribe+2-")
    largest = make_unsubscribe_address(
        Leaving(2**64, bytes(8)), "bounces.paperboy.example", press.settings.secret_key[0]
    )
    for each in (forged, re.sub(rb"unsubscribe\+\S+", largest.encode(), raw)):
        assert outcomes(take(press, each)) == ["unattributed"]
    assert states(press) == {ANNE: ACTIVE, BERT: ACTIVE}
