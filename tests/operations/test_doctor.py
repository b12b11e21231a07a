"""The doctor checks every part, reports faults with hints, and survives all of them."""

import socket
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.header import decode_header, make_header
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from sqlalchemy import Engine, text
from support.mail.dkim_keys import ed25519_key, rsa_key, verdicts, write_key
from support.newsletter.press import Press, make_press, plain_text
from support.servers.loopback_http import LoopbackHttp
from support.smtp.scripted_smtp import ScriptedSmtp
from support.smtp.smtp_sink import SmtpSink, free_port

from service.operations.doctor import Finding, examine
from service.platform.caches import clear_caches
from service.platform.clock import system_clock
from service.platform.settings.dkim_keys import DkimKey
from service.platform.settings.settings import Settings

ANNE = "anne@example.org"


class NameServer:
    """A DNS server on loopback: TXT records by name; None is a server failure."""

    def __init__(self) -> None:
        self.records: dict[str, str | None] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        # An empty datagram is no question: it ends the loop.
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            wire, asker = self._socket.recvfrom(4096)
            if not wire:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(wire)).to_wire(), asker)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        name = query.question[0].name
        record = self.records.get(name.to_text(omit_final_dot=True), "")
        if record is None:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif record == "":
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", f'"{record}"'))
        return answer


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.port
    monkeypatch.setattr(dns.resolver, "default_resolver", resolver)
    yield server
    server.stop()


@pytest.fixture
def press(
    settings: Settings, engine: Engine, loopback_http: LoopbackHttp, name_server: NameServer
) -> Press:
    """Return a healthy installation, entirely on loopback."""
    name_server.records = {
        "paperboy.example": "v=spf1 ip4:127.0.0.1 -all",
        "_dmarc.paperboy.example": "v=DMARC1; p=none",
    }
    loopback_http.routes |= {
        "/unsubscribe/not-a-real-token": (404, {}, b"no such link"),
        "/": (200, {}, b""),
    }
    url = loopback_http.url
    changes = {"arxiv_feed_url": url, "huggingface_url": url, "base_url": url}
    return make_press(settings.model_copy(update=changes), engine, system_clock())


def ask(press: Press, probe: str | None = None, /, **changes: object) -> dict[str, Finding]:
    here = press.settings.model_copy(update=changes)
    return {finding.subject: finding for finding in examine(here, press.sessions, probe)}


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
        "one-click",
    }
    assert parts | {f"relay 127.0.0.1:{smtp_sink.port}"} <= found.keys()
    assert {name: one for name, one in found.items() if one.state == "bad"} == {}
    assert [found[name].state for name in sorted(parts)] == ["good"] * len(parts)
    assert "0 due" in found["database"].detail
    assert smtp_sink.messages == []


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


def test_a_missing_model_is_bad_and_has_a_hint(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear_caches()
    monkeypatch.setitem(sys.modules, "wordllama", None)
    found = {one.subject: one for one in examine(press.settings, press.sessions, None)}["model"]
    assert (found.state, found.detail) == ("bad", "the package wordllama is not installed")
    assert "none" in found.hint


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


def test_a_domain_without_records_has_a_hint_where_to_publish_them(
    press: Press, name_server: NameServer
) -> None:
    name_server.records = {"paperboy.example": "some other text"}
    found = ask(press)
    assert (found["SPF"].state, found["SPF"].hint) == (
        "bad",
        "Add a TXT record at paperboy.example",
    )
    assert found["DMARC"].detail == "no record at _dmarc.paperboy.example"


def test_a_name_server_that_fails_is_a_warning(press: Press, name_server: NameServer) -> None:
    name_server.records = {"paperboy.example": None}
    assert ask(press)["SPF"].state == "warn"


def test_a_sender_without_a_public_domain_is_a_warning(press: Press) -> None:
    found = ask(press, mail_from="Paperboy <digest@localhost>")
    assert found["sender"].state == "warn"
    assert "SPF" not in found


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


def publish(server: NameServer, host: str, record: str) -> None:
    """Publish a TXT record; one longer than 255 bytes is several strings (RFC 1035 §3.3.14)."""
    pieces = [record[i : i + 200] for i in range(0, len(record), 200)]
    server.records[host] = '" "'.join(pieces)


def test_published_dkim_keys_are_compared_with_the_files(
    press: Press, name_server: NameServer, tmp_path: Path
) -> None:
    rsa = DkimKey("rsa2026", rsa_key())
    words = (
        f"rsa2026={write_key(tmp_path / 'rsa.pem', rsa_key())}",
        f"ed2026={write_key(tmp_path / 'ed.pem', ed25519_key())}",
    )
    host = "rsa2026._domainkey.paperboy.example"
    found = ask(press, dkim_keys=words)
    assert (found["DKIM rsa2026"].state, found["DKIM ed2026"].state) == ("bad", "bad")
    assert f"TXT at {host}: {rsa.record}" in found["DKIM rsa2026"].hint
    publish(name_server, host, rsa.record)
    name_server.records["ed2026._domainkey.paperboy.example"] = rsa.record[:80]
    found = ask(press, dkim_keys=words)
    assert found["DKIM rsa2026"] == Finding("DKIM rsa2026", "good", f"rsa, published at {host}")
    assert "key file is ed25519" in found["DKIM ed2026"].detail
    name_server.records[host] = None
    assert ask(press, dkim_keys=words)["DKIM rsa2026"].state == "warn"


def test_without_keys_dkim_is_not_checked_and_a_bad_key_is_reported_once(
    press: Press, tmp_path: Path
) -> None:
    assert not [name for name in ask(press) if "dkim" in name.lower()]
    here = press.settings.model_copy(update={"dkim_keys": (f"s={tmp_path / 'none.pem'}",)})
    findings = [one for one in examine(here, press.sessions, None) if "dkim" in one.subject.lower()]
    assert [(one.subject, one.state) for one in findings] == [("dkim_keys", "bad")]


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
