"""Tests of the suite itself: the promises of fixtures, and the rules."""

import os
import re
import smtplib
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import psycopg
import pytest
import redis
from pytest_socket import SocketConnectBlockedError
from sqlalchemy import Engine, func, make_url, select, text
from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.orm import Session

from service.platform.database.engine import make_engine
from service.platform.settings.settings import Settings
from support.rules import ROOT
from support.servers.databases import TestServers, clone_database, with_database, with_number
from support.servers.loopback_http import LoopbackHttp
from support.smtp.smtp_sink import DROP, SmtpSink

MESSAGE = "From: a@a.example\r\nTo: b@b.example\r\nSubject: Grüße\r\n\r\nText\r\n".encode()


def send(sink: SmtpSink, *recipients: str) -> None:
    with smtplib.SMTP(sink.host, sink.port, timeout=5) as client:
        client.sendmail("a@a.example", recipients or ["b@b.example"], MESSAGE)


@pytest.mark.parametrize("run", [1, 2])
def test_every_test_gets_a_migrated_database_of_its_own(session: Session, run: int) -> None:
    assert session.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1
    session.execute(text("CREATE TABLE left_behind (run int)"))
    session.commit()


def test_a_clone_goes_even_with_somebody_in_it(
    servers: TestServers, template_database: str, session: Session
) -> None:
    found = text("SELECT count(*) FROM pg_database WHERE datname = :name")
    with clone_database(servers, template_database, "inner") as url:
        name = make_url(url).database
        assert session.scalar(found, {"name": name}) == 1
        forgotten = psycopg.connect(url)
    assert session.scalar(found, {"name": name}) == 0
    forgotten.close()


def test_engines_share_what_is_compiled_and_not_their_databases(
    servers: TestServers, template_database: str, engine: Engine
) -> None:
    question = select(func.current_database().label("only_asked_here"))
    with clone_database(servers, template_database, "inner") as url:
        other = make_engine(url)
        answers, compiled = [], []
        for one in (engine, other):
            with one.connect() as connection:
                answer = connection.execute(question)
                answers.append(answer.scalar_one())
                compiled.append(answer.context.cache_hit)
        assert answers == [engine.url.database, other.url.database]
        assert compiled == [CacheStats.CACHE_MISS, CacheStats.CACHE_HIT]
        other.dispose()


@pytest.mark.parametrize("run", [1, 2])
def test_every_test_gets_an_empty_valkey(redis_url: str, run: int) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left behind", run)


def test_the_settings_are_those_of_this_test(
    settings: Settings, smtp_sink: SmtpSink, database_url: str
) -> None:
    assert settings.database_url == database_url
    assert settings.relays[0].port == smtp_sink.port


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@/a?host=/x", "postgresql://u@/b?host=/x"),
        ("postgresql://u:p@h:1/a", "postgresql://u:p@h:1/b"),
    ],
)
def test_a_url_is_pointed_at_another_database(url: str, expected: str) -> None:
    assert with_database(url, "b") == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [("unix:///x?db=1", "unix:///x?db=3"), ("redis://:p@h:1/0", "redis://:p@h:1/3")],
)
def test_a_url_is_pointed_at_another_number(url: str, expected: str) -> None:
    assert with_number(url, 3) == expected


def test_the_sink_keeps_what_it_is_sent(smtp_sink: SmtpSink) -> None:
    send(smtp_sink, "b@b.example", "c@c.example")
    ((envelope, message),) = smtp_sink.wait_for(1)
    assert envelope.mail_from == "a@a.example"
    assert smtp_sink.recipients() == ["b@b.example", "c@c.example"]
    assert message["Subject"] == "Grüße"
    assert smtp_sink.connection_count == 1


def test_the_sink_answers_as_it_is_told(smtp_sink: SmtpSink) -> None:
    smtp_sink.on_mail = lambda _address: "550 5.1.8 bad sender"
    with pytest.raises(smtplib.SMTPSenderRefused):
        send(smtp_sink)
    smtp_sink.on_mail = lambda _address: None
    smtp_sink.on_rcpt = lambda _address: "451 4.7.1 later"
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(smtp_sink)
    assert refused.value.recipients == {"b@b.example": (451, b"4.7.1 later")}
    smtp_sink.on_rcpt = lambda _address: None
    smtp_sink.on_data = lambda _address: "554 5.6.0 no"
    with pytest.raises(smtplib.SMTPDataError):
        send(smtp_sink)
    assert smtp_sink.messages == []
    assert len(smtp_sink.seen) == 1


def test_the_sink_can_hang_up_after_the_final_dot(smtp_sink: SmtpSink) -> None:
    smtp_sink.on_data = lambda _address: DROP
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(smtp_sink)
    assert (len(smtp_sink.seen), smtp_sink.messages) == (1, [])


def test_the_sink_can_hang_up_before_the_data(smtp_sink: SmtpSink) -> None:
    smtp_sink.on_rcpt = lambda _address: DROP
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(smtp_sink)
    assert smtp_sink.seen == []


def test_the_http_server_serves_routes_and_keeps_requests(loopback_http: LoopbackHttp) -> None:
    loopback_http.routes = {
        "/feed": (200, {"ETag": '"1"'}, b"plain"),
        "/feed?page=2": lambda request: (503, {"Retry-After": "7"}, request.query.encode()),
    }
    with httpx2.Client(base_url=loopback_http.url, headers={"User-Agent": "test"}) as client:
        assert client.get("/feed").headers["ETag"] == '"1"'
        second = client.post("/feed?page=2", content=b"body")
        assert (second.status_code, second.content) == (503, b"page=2")
        assert client.get("/nothing").status_code == 404
    first, second_request, _ = loopback_http.requests
    assert first.headers["user-agent"] == "test"
    assert (second_request.method, second_request.body) == ("POST", b"body")


def test_the_network_is_closed_but_for_this_machine() -> None:
    # An address of documentation (RFC 5737): nobody answers there, should the rule fail.
    with (
        pytest.warns(UserWarning, match="192.0.2.1"),
        pytest.raises(SocketConnectBlockedError),
        socket.socket() as client,
    ):
        client.connect(("192.0.2.1", 80))


def run_pytest(tmp_path: Path, source: str, *options: str, **environment: str) -> tuple[int, str]:
    """Run a suite of its own under the rules and return its exit status and its output."""
    (tmp_path / "test_inner.py").write_text(source)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n  real: real data\n  hosts: namespaces\n  program: a program\n"
    )
    outer = {
        name: value
        for name, value in os.environ.items()
        if name not in {"CI", "PYTEST_XDIST_WORKER"} and not name.startswith("PAPERBOY_REQUIRE_")
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "support.rules",
            "-p",
            "no:cacheprovider",
            *options,
            str(tmp_path),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**outer, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", **environment},
    )
    return done.returncode, done.stdout + done.stderr


REAL = """
import pytest
@pytest.mark.real
@pytest.mark.parametrize("n", [1, 2])
def test_real(n): pass
def test_other(): pass
"""
# A suite of its own that is run to prove that the rules forbid what it does; nothing is skipped here.
SKIPPED = """
import pytest
def test_skipped(): pytest.skip("not today")
@pytest.mark.xfail
def test_known(): assert False
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-n", "2"]])
def test_tests_of_real_data_are_left_out_aloud_where_there_is_none(
    tmp_path: Path, options: list[str]
) -> None:
    status, output = run_pytest(tmp_path, REAL, *options, PAPERBOY_REAL_DATA=str(tmp_path / "gone"))
    assert status == 0
    assert f"2 tests deselected: no real data at {tmp_path / 'gone'}" in output
    assert "1 passed" in output


@pytest.mark.slow
def test_tests_of_real_data_run_where_it_is(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path, REAL, PAPERBOY_REAL_DATA=str(tmp_path))
    assert status == 0
    assert "3 passed" in output
    assert "deselected" not in output


@pytest.mark.slow
def test_missing_real_data_is_an_error_where_it_is_required(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    status, output = run_pytest(tmp_path, REAL, PAPERBOY_REAL_DATA=gone, PAPERBOY_REQUIRE_REAL="1")
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "there is no real data at" in output


HOSTS = REAL.replace("pytest.mark.real", "pytest.mark.hosts")


@pytest.mark.slow
def test_tests_of_several_hosts_are_left_out_aloud_or_refused_where_none_can_be_made(
    tmp_path: Path,
) -> None:
    without_ip = str(tmp_path)
    status, output = run_pytest(tmp_path, HOSTS, PATH=without_ip)
    assert status == 0
    assert "2 tests deselected: no way to make network namespaces: no `ip` program" in output
    status, output = run_pytest(tmp_path, HOSTS, PATH=without_ip, PAPERBOY_REQUIRE_HOSTS="1")
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "PAPERBOY_REQUIRE_HOSTS=1, but there is no way to make network namespaces" in output


@pytest.mark.slow
def test_tests_of_a_missing_program_are_left_out_aloud_or_refused(tmp_path: Path) -> None:
    source = REAL.replace("pytest.mark.real", "pytest.mark.program('no-such-server')")
    source += "@pytest.mark.program('env')\ndef test_env(): pass\n"
    status, output = run_pytest(tmp_path, source)
    assert status == 0
    assert "2 tests deselected: no program no-such-server" in output
    assert "2 passed" in output
    status, output = run_pytest(tmp_path, source, PAPERBOY_REQUIRE_PROGRAM="1")
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "PAPERBOY_REQUIRE_PROGRAM=1, but there is no program no-such-server" in output


SERVERS = """
from support.servers.databases import start_servers
def test_servers():
    with start_servers(): pass
"""


@pytest.mark.slow
def test_a_run_says_its_servers_and_fails_on_other_ones_than_it_must_have(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path, SERVERS, PAPERBOY_TEST_SERVERS="PostgreSQL, RabbitMQ 3")
    assert status == 0
    assert re.search(
        r"^ran on PostgreSQL \d+\.\d+, (Valkey|Redis) [\d.]+, Python", output, re.MULTILINE
    )
    for others in ("PostgreSQL 1", "Redis 1"):
        status, output = run_pytest(tmp_path, SERVERS, PAPERBOY_TEST_SERVERS=others)
        assert status == 1
        assert f"these tests must run on {others} (PAPERBOY_TEST_SERVERS), and this is " in output


@pytest.mark.slow
def test_a_skip_is_an_error_in_ci_and_only_there(tmp_path: Path) -> None:
    status, _ = run_pytest(tmp_path, SKIPPED)
    assert status == 0
    status, output = run_pytest(tmp_path, SKIPPED, CI="true")
    assert status == 1
    assert "nothing is skipped in CI: Skipped: not today" in output
    assert "1 failed, 1 xfailed" in output
    status, output = run_pytest(
        tmp_path, "import pytest\npytest.importorskip('nowhere')", CI="true"
    )
    assert status != 0
    assert "nothing is skipped in CI" in output
