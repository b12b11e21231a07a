"""The doctor checks every part, reports faults with hints, and survives all of them."""

import sys
from datetime import timedelta
from email.header import decode_header, make_header
from pathlib import Path

import pytest
from sqlalchemy import text
from support.mail.dkim_keys import ed25519_key, verdicts, write_key
from support.newsletter.examined import ask
from support.newsletter.press import PlannedTransport, Press, plain_text
from support.servers.loopback_http import LoopbackHttp
from support.smtp.scripted_smtp import ScriptedSmtp
from support.smtp.smtp_sink import SmtpSink, free_port

from service.operations.doctor import examine
from service.operations.domain.finding import Finding
from service.papers.store.crawl_gate import SharedRateLimiter
from service.platform.settings.dkim_keys import DkimKey
from service.sending.deliver import deliver

ANNE = "anne@example.org"


@pytest.fixture
def press(healthy_press: Press) -> Press:
    return healthy_press


def test_a_healthy_installation_is_good_in_every_part_and_sends_nothing(
    press: Press, smtp_sink: SmtpSink
) -> None:
    found = ask(press)
    parts = {
        "database",
        "model",
        "broker",
        "source arxiv",
        "source huggingface",
        "SPF",
        "DMARC",
        "SPF alignment",
        "DKIM alignment",
        "HELO",
        "PTR",
        "bounce MX",
        "one-click",
    }
    assert parts | {f"relay 127.0.0.1:{smtp_sink.port}"} <= found.keys()
    assert {name: one for name, one in found.items() if one.state == "bad"} == {}
    assert [found[name].state for name in sorted(parts)] == ["good"] * len(parts)
    assert "0 due" in found["database"].detail
    assert smtp_sink.messages == []


def test_a_domain_that_has_hardly_sent_is_told_to_warm_up(press: Press) -> None:
    found = ask(press)["warm-up"]
    assert found.state == "warn"
    assert found.detail == f"{press.settings.from_domain} sent 0 mails from here"
    assert "PAPERBOY_WARM_UP_DAYS=14" in found.hint
    found = ask(press, warm_up_days=14)["warm-up"]
    assert (found.state, found.detail) == ("good", "day 1 of 14, 50 mails to each provider")
    assert "warm-up" not in ask(press, smtp_url=())
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    assert ask(press)["warm-up"].detail.endswith("sent 1 mails from here")


def test_a_probe_is_a_mail_that_arrives(press: Press, smtp_sink: SmtpSink) -> None:
    assert ask(press, ANNE)["probe"] == Finding("probe", "good", "250 2.0.0 OK")
    (received,) = smtp_sink.messages
    assert received.envelope.rcpt_tos == [ANNE]
    subject = str(make_header(decode_header(received.message["Subject"])))
    assert subject.startswith("A test mail from Paperboy · ")
    assert "mail from this machine reaches you" in plain_text(
        received.envelope.original_content or b""
    )


def test_a_refused_probe_shows_the_relays_reply(press: Press, smtp_sink: SmtpSink) -> None:
    smtp_sink.on_rcpt = lambda _: "550 5.7.1 relaying denied"
    found = ask(press, ANNE)["probe"]
    assert (found.state, found.detail) == ("bad", "550 5.7.1 relaying denied")


def test_a_probe_that_cannot_be_addressed_is_reported_and_does_not_end_the_checks(
    press: Press, smtp_sink: SmtpSink
) -> None:
    found = ask(press, "an..ne@example.org")["probe"]
    assert found.state == "bad"
    assert found.detail == "the To address has no plain ASCII part before the @"
    assert smtp_sink.messages == []
    assert ask(press, ANNE, mail_from="post@münchen.example")["probe"].state == "good"
    assert smtp_sink.messages[0].envelope.mail_from == "post@xn--mnchen-3ya.example"


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"database_url": "postgresql://nobody@127.0.0.1:1/none"}, "database"),
        ({"redis_url": "redis://127.0.0.1:1/0"}, "broker"),
        ({"smtp_url": ("smtp://127.0.0.1:1",)}, "relay 127.0.0.1:1"),
    ],
)
def test_a_part_that_is_down_is_bad_and_has_a_hint(
    press: Press, changes: dict[str, object], subject: str
) -> None:
    found = ask(press, **changes)
    assert found[subject].state == "bad"
    assert found[subject].hint
    assert "\n" not in found[subject].detail
    # The others are still asked.
    assert found["one-click"].state == "good"


def test_a_missing_extra_is_no_fault_and_names_the_command(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)
    found = {one.subject: one for one in examine(press.settings, press.sessions, None)}["model"]
    assert found.state == "warn"
    assert found.detail == "like: and similar papers are off: the extra is not installed"
    assert found.hint == "Run: pip install 'paperboy-digest[similarity]'"


def test_an_old_schema_says_which_command_to_run(press: Press) -> None:
    with press.sessions.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    found = ask(press)["database"]
    assert (found.state, found.hint) == ("bad", "Run: paperboy migrate")


def test_mail_that_waits_for_long_points_to_the_worker(press: Press) -> None:
    press.clock.now -= timedelta(hours=2)
    press.add_subscribers(ANNE, topics=())
    today = press.clock().date()
    press.add_papers(1, on=today)
    press.publish(today)
    found = ask(press)["database"]
    assert found.state == "warn"
    assert "1 due" in found.detail
    assert "worker" in found.hint


def test_a_closed_network_is_only_a_warning(press: Press) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    found = ask(press, arxiv_feed_url=away, base_url=away)
    assert (found["source arxiv"].state, found["one-click"].state) == ("warn", "warn")
    assert found["source huggingface"].state == "good"


def test_sources_without_an_address_are_left_out(press: Press) -> None:
    found = ask(press, sources=("arxiv", "biorxiv"))
    assert "source biorxiv" not in found


def test_a_category_that_arxiv_does_not_have_is_named_with_a_similar_one(press: Press) -> None:
    assert "arxiv_categories" not in ask(press, arxiv_categories=("cs.CL", "hep-th", "cs"))
    found = ask(press, arxiv_categories=("cs.CL", "cs.LM"))["arxiv_categories"]
    assert (found.state, found.detail) == ("bad", "arXiv has no category cs.LM")
    assert found.hint.startswith("Write cs.")
    assert "arxiv_categories" not in ask(
        press, arxiv_categories=("cs.LM",), sources=("huggingface",)
    )


@pytest.mark.parametrize(
    "answer", [(302, {"Location": "/login"}, b""), (200, {"Set-Cookie": "a=b"}, b"")]
)
def test_a_proxy_that_breaks_one_click_is_found(
    press: Press, loopback_http: LoopbackHttp, answer: tuple[int, dict[str, str], bytes]
) -> None:
    loopback_http.routes["/unsubscribe/not-a-real-token"] = answer
    assert ask(press)["one-click"].state == "bad"


def test_unwise_settings_come_first(press: Press) -> None:
    found = list(ask(press, admin_password="short").values())
    assert (found[0].subject, found[0].state) == ("admin_password", "warn")


def test_a_probe_is_signed(press: Press, smtp_sink: SmtpSink, tmp_path: Path) -> None:
    path = write_key(tmp_path / "ed.pem", ed25519_key())
    assert ask(press, ANNE, dkim_keys=(f"s={path}",))["probe"].state == "good"
    content = smtp_sink.messages[0].envelope.original_content or b""
    records = {"s._domainkey.paperboy.example": DkimKey("s", ed25519_key()).record}
    assert verdicts(content, records) == [True]


def test_each_relay_is_checked_for_smtputf8_where_readers_may_need_it(
    press: Press, smtp_sink: SmtpSink
) -> None:
    name = f"SMTPUTF8 127.0.0.1:{smtp_sink.port}"
    assert name not in ask(press)
    assert ask(press, smtputf8=True)[name] == Finding(name, "good", "offered")
    plain = ScriptedSmtp()
    url = f"smtp://127.0.0.1:{plain.port}?starttls=off"
    found = ask(press, smtputf8=True, smtp_url=(url,))[f"SMTPUTF8 127.0.0.1:{plain.port}"]
    plain.stop()
    assert (found.state, found.detail) == ("bad", "not offered")
    assert "PAPERBOY_SMTPUTF8" in found.hint


def test_a_probe_goes_to_an_address_outside_ascii(press: Press, smtp_sink: SmtpSink) -> None:
    assert ask(press, "änne@münchen.example")["probe"].state == "good"
    assert smtp_sink.recipients() == ["änne@xn--mnchen-3ya.example"]


def test_a_contact_is_asked_for_and_named_in_the_doctors_own_requests(
    press: Press, loopback_http: LoopbackHttp
) -> None:
    found = ask(press)["contact"]
    assert (found.state, found.hint) == (
        "warn",
        "Set PAPERBOY_CONTACT to an address or page of yours",
    )
    assert found.detail.endswith("they can write to nobody before they block us")
    loopback_http.requests.clear()
    found = ask(press, contact="ops@example.org")["contact"]
    assert (found.state, found.hint) == ("good", "")
    agents = {one.headers["User-Agent"] for one in loopback_http.requests if one.method == "HEAD"}
    assert agents == {found.detail}
    assert found.detail.endswith("; ops@example.org)")


def test_a_closed_gate_is_named_and_its_host_is_not_asked(
    press: Press, loopback_http: LoopbackHttp
) -> None:
    gate = SharedRateLimiter(press.sessions.kw["bind"])
    gate.report(f"{loopback_http.url}/rss", 403, None)
    gate.report("https://huggingface.co/api", 503, 120)
    found = ask(press)
    host = f"127.0.0.1:{loopback_http.port}"
    assert (found[f"gate {host}"].state, found["gate huggingface.co"].state) == ("bad", "warn")
    assert found[f"gate {host}"].detail.startswith("closed until 20")
    assert found["gate huggingface.co"].detail.endswith("since it answered HTTP 503")
    assert found[f"gate {host}"].hint.endswith(f"run: paperboy reopen {host}")
    assert found["source arxiv"].detail.startswith(f"not asked: no request to {host} is allowed")
    assert [one for one in loopback_http.requests if one.method == "HEAD"] == []


def test_a_source_that_forbids_the_doctor_is_named(
    press: Press, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/"] = (403, {}, b"")
    found = ask(press)["source arxiv"]
    assert (found.state, found.detail) == ("warn", "refuses us: HTTP 403")
    loopback_http.routes["/"] = (429, {"Retry-After": "300"}, b"")
    later = ask(press)
    assert later["source arxiv"].detail == "refuses us: HTTP 429"
    # Both sources are at this host, which asked for five minutes.
    assert later["source huggingface"].detail.startswith("not asked: no request to")
