"""The demonstration in this process: the papers it shows, its place, and what its database may not do."""

from datetime import date, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from support.newsletter.commands import NOW, Paperboy
from support.servers.loopback_http import LoopbackHttp
from support.servers.processes import settings_environ, start_worker
from support.smtp.smtp_sink import SmtpSink, free_port

from service.deliveries.store.demo_mark import mark_demo
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.settings.settings import Settings
from service.sample.server import SampleServer
from service.subscribers.store.models import Subscriber

pytestmark = pytest.mark.slow


@pytest.fixture
def demo(paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> Paperboy:
    """Run a demo, though the environment names a relay and a database: it takes neither."""
    monkeypatch.setenv("PAPERBOY_DATA_DIR", str(data_dir))
    monkeypatch.setenv("PAPERBOY_BASE_URL", f"http://127.0.0.1:{free_port()}")
    return lambda *options: paperboy("--json", "demo", "--once", *options)


def last_mail(data_dir: Path) -> EmailMessage:
    newest = max((data_dir / "mailbox" / "new").iterdir())
    return message_from_bytes(newest.read_bytes(), policy=default)


def test_live_sources_are_taken_where_they_answer_with_papers(
    demo: Paperboy, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    today = announcement_date(system_clock())
    with SampleServer(today) as server:
        monkeypatch.setenv("PAPERBOY_ARXIV_FEED_URL", server.url)
        monkeypatch.setenv("PAPERBOY_HUGGINGFACE_URL", server.url)
        result = demo()
    assert (result.code, result.err) == (0, "")
    is_weekend = today.weekday() >= 5
    assert result.value["is_sample"] is is_weekend
    assert (data_dir / "demo-live" / "mailbox").exists() is not is_weekend
    assert datetime.fromisoformat(result.value["day"]).date() <= today
    assert result.value["balance"]["states"] == {"sent": 1}


def test_a_demo_uses_a_port_a_database_and_a_mailbox_of_its_own(
    demo: Paperboy,
    monkeypatch: pytest.MonkeyPatch,
    loopback_http: LoopbackHttp,
    smtp_sink: SmtpSink,
    session: Session,
    data_dir: Path,
) -> None:
    monkeypatch.setenv("PAPERBOY_BASE_URL", loopback_http.url)
    result = demo()
    assert (result.code, result.value["is_sample"]) == (0, True)
    assert result.value["mail_count"] == 3
    link = last_mail(data_dir / "demo")["List-Unsubscribe"]
    assert "http://127.0.0.1:" in link
    assert loopback_http.url not in link
    assert loopback_http.requests == []
    assert smtp_sink.seen == []
    assert session.scalar(select(func.count()).select_from(Subscriber)) == 0


@pytest.fixture
def demo_database(environment: None, session: Session) -> None:
    """Make this test's database, which has a relay in its environment, a demo's."""
    assert mark_demo(session, has_sample_papers=True)
    session.commit()


REFUSAL = "is a demo's, with an invented subscriber: no real mail is sent from it; set PAPERBOY_"


@pytest.mark.parametrize("typed", [["up"], ["deliver"], ["publish", "--force"]])
def test_no_command_sends_real_mail_from_a_demo(
    demo_database: None,
    sample_day: date,
    paperboy: Paperboy,
    smtp_sink: SmtpSink,
    session: Session,
    typed: list[str],
) -> None:
    paperboy(*NOW, "subscribers", "add", "reader@example.org", "--confirmed")
    paperboy(*NOW, "ingest")
    result = paperboy(*([] if typed == ["up"] else NOW), *typed)
    assert (result.code, result.out) == (1, "")
    assert REFUSAL in result.complaint
    assert smtp_sink.seen == []


def test_a_worker_does_not_start_on_a_demo_with_a_relay(
    demo_database: None, settings: Settings, smtp_sink: SmtpSink
) -> None:
    with start_worker(settings_environ(settings)) as worker:
        _, complaint = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert REFUSAL in complaint.splitlines()[-1]
    assert smtp_sink.seen == []


def test_the_doctor_says_that_a_database_is_a_demos(
    demo_database: None, paperboy: Paperboy
) -> None:
    result = paperboy("--json", "doctor")
    found = {one["subject"]: (one["state"], one["detail"]) for one in result.value}
    assert found["database"] == ("bad", "made by `paperboy demo`, so nothing is sent")


def test_a_database_in_use_never_becomes_a_demos(
    sample_day: date, paperboy: Paperboy, session: Session
) -> None:
    paperboy(*NOW, "subscribers", "add", "me@paperboy.example", "--confirmed")
    paperboy(*NOW, "ingest")
    assert paperboy(*NOW, "publish", "--force").code == 0
    assert not mark_demo(session, has_sample_papers=True)
