"""The bytes of each mail: headers, links and papers."""

import re
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.mail.dkim_keys import ed25519_key, write_key
from support.newsletter.press import PlannedTransport, Press, plain_text, read_mail
from support.web.papers import FRIDAY, make_announcement

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.return_path import Leaving, make_unsubscribe_address
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.claimed_rows import Claim
from service.deliveries.store.deliveries import insert_mail
from service.messages.build import build_mail
from service.messages.edition_data import EditionDataCache
from service.messages.rendering.renderer import Renderer
from service.platform.signing.tokens import Purpose, TokenInvalid, verify_token
from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber

ANNE = "anne@example.org"


def send_digest(press: Press) -> tuple[EmailMessage, str]:
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (sent,) = transport.sent
    return read_mail(sent.payload), plain_text(sent.payload)


def test_a_digest_has_one_click_unsubscribe(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    message, _ = send_digest(press)
    link = str(message["List-Unsubscribe"])
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link.startswith("<http://127.0.0.1:8000/unsubscribe/")
    assert link.endswith(">")
    token = link.strip("<>").rpartition("/")[2]
    keys = press.settings.secret_key
    assert verify_token(token, Purpose.UNSUBSCRIBE, keys, press.clock()).subject == anne
    with pytest.raises(TokenInvalid):
        verify_token(token, Purpose.PREFERENCES, keys, press.clock())


@pytest.mark.parametrize(
    ("base_url", "is_one_click"),
    [("https://papers.example.org", True), ("http://papers.example.org", False)],
)
def test_one_click_is_offered_only_over_https(
    press: Press, base_url: str, is_one_click: bool
) -> None:
    press.settings = press.settings.model_copy(update={"base_url": base_url})
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    message, text = send_digest(press)
    assert ("List-Unsubscribe-Post" in message) is is_one_click
    # The link in the footer is for people and always present.
    assert f"{base_url}/unsubscribe/" in text


@pytest.mark.parametrize(
    ("bounce_mailbox", "is_offered"),
    [("", False), ("listener", True), ("maildir:/var/mail/bounces", True)],
)
def test_an_address_to_unsubscribe_stands_beside_one_click_where_its_mail_is_read(
    press: Press, tmp_path: Path, bounce_mailbox: str, is_offered: bool
) -> None:
    keys = (f"s={write_key(tmp_path / 'ed.pem', ed25519_key())}",)
    changes = {"bounce_mailbox": bounce_mailbox, "dkim_keys": keys}
    press.settings = press.settings.model_copy(update=changes)
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    message, _ = send_digest(press)
    targets = [each.strip() for each in str(message["List-Unsubscribe"]).split(",")]
    assert targets[0].startswith("<http://127.0.0.1:8000/unsubscribe/")
    domain, key = press.settings.bounce_domain, press.settings.secret_key[0]
    with press.sessions() as session:
        own = session.get_one(Subscriber, anne).link_key
    address = make_unsubscribe_address(Leaving(anne, own), domain, key)
    assert targets[1:] == ([f"<mailto:{address}?subject=unsubscribe>"] if is_offered else [])
    signed = re.sub(r"\s", "", str(message["DKIM-Signature"])).partition("h=")[2].split(";")[0]
    assert {"list-unsubscribe", "list-unsubscribe-post", "feedback-id"} <= set(signed.split(":"))


@pytest.mark.settings(bounce_mailbox="listener", base_url="http://papers.example.org")
def test_without_https_the_address_is_offered_alone(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    message, _ = send_digest(press)
    assert str(message["List-Unsubscribe"]).startswith("<mailto:unsubscribe+")
    assert "List-Unsubscribe-Post" not in message


def test_all_digests_of_an_edition_have_one_feedback_id(press: Press) -> None:
    press.add_subscribers(ANNE, "bert@example.org")
    press.add_papers(1)
    press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    found = {str(read_mail(sent.payload)["Feedback-ID"]) for sent in transport.sent}
    assert found == {f"{press.clock():%Y%m%d}:daily:digest:paperboyexample"}


@pytest.mark.parametrize(
    ("mail_from", "sender"),
    [("a@x.io", "xioxx"), ("a@news.a-long-university.edu", "newsalonguniver")],
)
def test_the_sender_of_a_feedback_id_has_5_to_15_characters(
    press: Press, mail_from: str, sender: str
) -> None:
    press.settings = press.settings.model_copy(update={"mail_from": mail_from})
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    assert str(send_digest(press)[0]["Feedback-ID"]).rpartition(":")[2] == sender


def test_a_digest_has_sender_recipient_and_list_headers(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"reply_to": "Desk <desk@paperboy.example>"})
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    message, _ = send_digest(press)
    assert message["From"] == "Paperboy <digest@paperboy.example>"
    assert message["To"] == ANNE
    assert message["Reply-To"] == "Desk <desk@paperboy.example>"
    assert message["List-Id"] == "Paperboy digests <digest.bounces.paperboy.example>"
    assert parsedate_to_datetime(message["Date"]) == press.clock()
    assert "Auto-Submitted" not in message


def test_each_delivery_has_its_own_message_id_in_its_row(press: Press) -> None:
    press.add_subscribers(ANNE, "bert@example.org")
    press.add_papers(1)
    edition_id = press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    sent = {mail.number: str(read_mail(mail.payload)["Message-ID"]) for mail in transport.sent}
    assert sent == {row.id: press.message_id(row) for row in press.rows(edition_id)}
    assert len(set(sent.values())) == 2
    number = transport.sent[0].number
    assert sent[number].startswith(f"<digest.{number}.")
    assert sent[number].endswith("@bounces.paperboy.example>")


def test_a_digest_contains_only_matching_papers(press: Press) -> None:
    press.add_subscribers(ANNE, topics=["parsing"])
    press.add_papers(1, announcements=[make_announcement(2, "Something else")])
    press.publish()
    message, text = send_digest(press)
    assert "Parsing number 1" in text
    assert "Something else" not in text
    assert "https://arxiv.org/abs/2609.00001" in text
    assert "parsing" in str(message["Subject"]).lower() or "parsing" in text.lower()
    assert "September" in text


def test_a_late_paper_is_labelled(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.publish()
    press.add_papers(1)
    press.clock.forward(days=1)
    press.publish(FRIDAY + timedelta(days=1))
    _, text = send_digest(press)
    assert "late, announced" in text


def test_a_digest_that_is_too_long_loses_papers(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(*range(1, 21))
    press.publish()
    press.settings = press.settings.model_copy(update={"digest_max_bytes": 30_000})
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (sent,) = transport.sent
    assert len(sent.payload) < 32_000
    assert 0 < plain_text(sent.payload).count("https://arxiv.org/abs/") < 20


def test_a_digest_too_long_without_papers_fails_with_its_reason(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport(), digest_max_bytes=100))
    (reason,) = [row.reason for row in press.rows() if row.edition_id]
    assert reason == "render: a digest without papers is larger than 100 bytes"


# The paths of the links that each mail must contain.
PATHS = {
    DeliveryKind.CONFIRMATION: {"confirm", "never"},
    DeliveryKind.PERSONAL_LINK: {"preferences", "unsubscribe"},
    DeliveryKind.WELCOME: {"preferences", "unsubscribe"},
    DeliveryKind.TOPICS_CHANGED: {"preferences", "unsubscribe"},
    DeliveryKind.PAUSED: {"preferences", "unsubscribe"},
    DeliveryKind.RESUMED: {"preferences", "unsubscribe"},
    DeliveryKind.ADDRESS_CHANGE: {"address", "never"},
}


@pytest.mark.parametrize("kind", list(PATHS))
def test_each_transactional_mail_has_its_links_and_auto_submitted(
    press: Press, kind: DeliveryKind
) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    if kind in {DeliveryKind.CONFIRMATION, DeliveryKind.ADDRESS_CHANGE}:
        press.change(anne, state=SubscriberState.PENDING)
    if kind is DeliveryKind.PAUSED:
        press.change(anne, state=SubscriberState.PAUSED)
    with press.sessions.begin() as session:
        until = press.clock() + timedelta(hours=24)
        insert_mail(session, kind, anne, "1", press.clock(), until)
    message, text = send_digest(press)
    paths = {
        urlsplit(word).path.split("/")[1]
        for word in text.replace("<", " ").replace(">", " ").split()
        if word.startswith("http://127.0.0.1:8000/") and len(urlsplit(word).path) > 1
    }
    assert PATHS[kind] <= paths
    assert message["Auto-Submitted"] == "auto-generated"
    assert ("List-Unsubscribe" in message) is (kind is DeliveryKind.WELCOME)
    # A mail to an unconfirmed address repeats no text that a visitor typed.
    has_topics = kind in {DeliveryKind.WELCOME, DeliveryKind.TOPICS_CHANGED}
    assert ("Parsing" in text) is has_topics


def test_a_farewell_is_sent_after_unsubscribing(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.change(anne, state=SubscriberState.UNSUBSCRIBED)
    with press.sessions.begin() as session:
        until = press.clock() + timedelta(hours=24)
        insert_mail(session, DeliveryKind.FAREWELL, anne, "1", press.clock(), until)
    message, text = send_digest(press)
    assert "/undo" in text
    assert message["Message-ID"].startswith("<farewell.")


OUTDATED_MAILS = [
    (DeliveryKind.PAUSED, SubscriberState.ACTIVE, "late"),
    (DeliveryKind.PAUSED, SubscriberState.UNSUBSCRIBED, "unsubscribed"),
    (DeliveryKind.FAREWELL, SubscriberState.ACTIVE, "late"),
    (DeliveryKind.RESUMED, SubscriberState.PAUSED, "paused"),
    (DeliveryKind.TOPICS_CHANGED, SubscriberState.UNSUBSCRIBED, "unsubscribed"),
    (DeliveryKind.FAREWELL, SubscriberState.SUPPRESSED, "suppressed"),
]


@pytest.mark.parametrize(("kind", "state", "reason"), OUTDATED_MAILS)
def test_an_outdated_transactional_mail_is_skipped(
    press: Press, kind: DeliveryKind, state: SubscriberState, reason: str
) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.change(anne, state=state)
    with press.sessions.begin() as session:
        until = press.clock() + timedelta(hours=24)
        insert_mail(session, kind, anne, "1", press.clock(), until)
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert transport.sent == []
    assert press.row().reason == reason


def test_a_digest_without_a_subscriber_cannot_be_built(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    claim = Claim(press.row(), None)
    with pytest.raises(ValueError, match="must be skipped"):
        build_mail(claim, EditionDataCache(), press.settings, Renderer(), press.clock())
