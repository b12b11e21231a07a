"""The demonstration in this process: the day it shows, and when it refuses to start."""

from datetime import date, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session
from support.newsletter.commands import Paperboy
from support.servers.loopback_http import LoopbackHttp
from support.smtp.smtp_sink import free_port

from service.deliveries.domain.recipients import SubscriberState
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.sample.server import SampleServer
from service.subscribers.store.models import Subscriber

pytestmark = pytest.mark.slow

SUBSCRIBER = "reader@example.org"


@pytest.fixture
def demo(paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch) -> Paperboy:
    monkeypatch.delenv("PAPERBOY_SMTP_URL")
    monkeypatch.setenv("PAPERBOY_BASE_URL", f"http://127.0.0.1:{free_port()}")
    return lambda *options: paperboy("--json", "demo", "--once", *options)


def last_mail(data_dir: Path) -> EmailMessage:
    newest = max((data_dir / "mailbox" / "new").iterdir())
    return message_from_bytes(newest.read_bytes(), policy=default)


def test_live_sources_are_taken_where_they_answer_with_papers(
    demo: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = announcement_date(system_clock())
    with SampleServer(today) as server:
        monkeypatch.setenv("PAPERBOY_ARXIV_FEED_URL", server.url)
        monkeypatch.setenv("PAPERBOY_HUGGINGFACE_URL", server.url)
        result = demo()
    assert (result.code, result.err) == (0, "")
    is_weekend = today.weekday() >= 5
    assert result.value["is_sample"] is is_weekend
    assert datetime.fromisoformat(result.value["day"]).date() <= today
    assert result.value["balance"]["states"] == {"sent": 1}


def test_a_taken_port_is_left_to_its_owner(
    demo: Paperboy, monkeypatch: pytest.MonkeyPatch, loopback_http: LoopbackHttp, tmp_path: Path
) -> None:
    monkeypatch.setenv("PAPERBOY_BASE_URL", loopback_http.url)
    result = demo()
    assert (result.code, result.value["is_sample"]) == (0, True)
    assert result.value["mail_count"] == 3
    link = last_mail(tmp_path / "data")["List-Unsubscribe"]
    assert "http://127.0.0.1:" in link
    assert loopback_http.url not in link
    assert loopback_http.requests == []


def test_a_reader_who_paused_is_not_signed_up_again(
    demo: Paperboy, paperboy: Paperboy, session: Session
) -> None:
    paperboy("subscribers", "add", SUBSCRIBER, "--confirmed")
    paused = {"state": SubscriberState.PAUSED, "paused_until": date(2100, 1, 1)}
    session.execute(update(Subscriber).values(**paused))
    session.commit()
    result = demo()
    assert (result.code, result.out) == (1, "")
    assert result.complaint == f"{SUBSCRIBER} is paused; start again with another PAPERBOY_DATA_DIR"
