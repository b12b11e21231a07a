"""The bytes of each mail: its headers, its links, and the papers in it."""

from datetime import timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import pytest
from support.newsletter.press import PlannedTransport, Press, plain_text, read_mail
from support.web.papers import FRIDAY, make_announcement

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.claimed_rows import Claim
from service.deliveries.store.deliveries import insert_mail
from service.messages.build import build_envelope
from service.messages.edition_data import EditionDataCache
from service.messages.rendering.renderer import Renderer
from service.platform.signing.tokens import Purpose, TokenInvalid, read_token
from service.sending.deliver import deliver

ANNE = "anne@example.org"


def send_digest(press: Press) -> tuple[EmailMessage, str]:
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (sent,) = transport.sent
    return read_mail(sent.payload), plain_text(sent.payload)


def test_a_digest_can_be_left_with_one_click(press: Press) -> None:
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
    assert read_token(token, Purpose.UNSUBSCRIBE, keys, press.clock()).subject == anne
    with pytest.raises(TokenInvalid):
        read_token(token, Purpose.PREFERENCES, keys, press.clock())


@pytest.mark.parametrize(
    ("base_url", "is_one_click"),
    [("https://papers.example.org", True), ("http://papers.example.org", False)],
)
def test_one_click_is_promised_only_where_it_is_safe(
    press: Press, base_url: str, is_one_click: bool
) -> None:
    press.settings = press.settings.model_copy(update={"base_url": base_url})
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    message, text = send_digest(press)
    assert ("List-Unsubscribe-Post" in message) is is_one_click
    # The link in the foot is for people and always there.
    assert f"{base_url}/unsubscribe/" in text


def test_a_digest_says_who_it_is_from_for_and_which_list(press: Press) -> None:
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


def test_the_message_id_is_the_deliverys_own_and_kept_in_its_row(press: Press) -> None:
    press.add_subscribers(ANNE, "bert@example.org")
    press.add_papers(1)
    edition_id = press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    told = {one.number: str(read_mail(one.payload)["Message-ID"]) for one in transport.sent}
    assert told == {row.id: row.message_id for row in press.rows(edition_id)}
    assert len(set(told.values())) == 2
    number = transport.sent[0].number
    assert told[number].startswith(f"<digest.{number}.")
    assert told[number].endswith("@bounces.paperboy.example>")


def test_a_digest_holds_its_papers_with_topic_and_reason(press: Press) -> None:
    press.add_subscribers(ANNE, topics=["parsing"])
    press.add_papers(1, told=[make_announcement(2, "Something else")])
    press.publish()
    message, text = send_digest(press)
    assert "Parsing number 1" in text
    assert "Something else" not in text
    assert "https://arxiv.org/abs/2609.00001" in text
    assert "parsing" in str(message["Subject"]).lower() or "parsing" in text.lower()
    assert "September" in text


def test_a_late_paper_says_that_it_is_late(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.publish()
    press.add_papers(1)
    press.clock.forward(days=1)
    press.publish(FRIDAY + timedelta(days=1))
    _, text = send_digest(press)
    assert "late, announced" in text


def test_a_digest_that_is_too_long_sheds_papers_and_says_how_many(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(*range(1, 21))
    press.publish()
    press.settings = press.settings.model_copy(update={"digest_max_bytes": 30_000})
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (sent,) = transport.sent
    assert len(sent.payload) < 32_000
    assert 0 < plain_text(sent.payload).count("https://arxiv.org/abs/") < 20


def test_a_digest_too_long_without_any_paper_fails_with_its_reason(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport(), digest_max_bytes=100))
    assert press.row().reason == "render: a digest without papers is larger than 100 bytes"


# What each mail must let its reader do, by the path of the link.
PATHS = {
    DeliveryKind.CONFIRMATION: {"confirm", "never"},
    DeliveryKind.ALREADY_SUBSCRIBED: {"preferences", "unsubscribe"},
    DeliveryKind.WELCOME: {"preferences", "unsubscribe"},
    DeliveryKind.TOPICS_CHANGED: {"preferences", "unsubscribe"},
    DeliveryKind.PAUSED: {"preferences", "unsubscribe"},
    DeliveryKind.RESUMED: {"preferences", "unsubscribe"},
    DeliveryKind.ADDRESS_CHANGE: {"address", "never"},
}


@pytest.mark.parametrize("kind", list(PATHS))
def test_each_other_mail_is_sent_with_its_links_and_says_that_a_machine_wrote_it(
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
    # Before the address is confirmed, nothing that a stranger typed is repeated to it.
    tells_topics = kind in {DeliveryKind.WELCOME, DeliveryKind.TOPICS_CHANGED}
    assert ("parsing" in text) is tells_topics


def test_a_farewell_can_be_written_though_its_reader_has_left(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.change(anne, state=SubscriberState.UNSUBSCRIBED)
    with press.sessions.begin() as session:
        until = press.clock() + timedelta(hours=24)
        insert_mail(session, DeliveryKind.FAREWELL, anne, "1", press.clock(), until)
    message, text = send_digest(press)
    assert "/undo" in text
    assert message["Message-ID"].startswith("<farewell.")


LATE_LETTERS = [
    (DeliveryKind.PAUSED, SubscriberState.ACTIVE, "late"),
    (DeliveryKind.PAUSED, SubscriberState.UNSUBSCRIBED, "unsubscribed"),
    (DeliveryKind.FAREWELL, SubscriberState.ACTIVE, "late"),
    (DeliveryKind.RESUMED, SubscriberState.PAUSED, "paused"),
    (DeliveryKind.TOPICS_CHANGED, SubscriberState.UNSUBSCRIBED, "unsubscribed"),
    (DeliveryKind.FAREWELL, SubscriberState.SUPPRESSED, "suppressed"),
]


@pytest.mark.parametrize(("kind", "state", "reason"), LATE_LETTERS)
def test_a_letter_that_is_no_longer_true_is_not_sent(
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


def test_a_mail_to_nobody_cannot_be_built(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    claim = Claim(press.row(), None)
    with pytest.raises(ValueError, match="must be skipped"):
        build_envelope(claim, EditionDataCache(), press.settings, Renderer(), press.clock())
