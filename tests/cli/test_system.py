"""The installation by hand: migrate, doctor, and the schema that every command needs."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support.newsletter.commands import LATER, NOW, Paperboy
from support.servers.databases import TestServers, drop_database, with_database
from support.smtp.smtp_sink import SmtpSink, free_port

from service.platform.database.migrate import current_revision, head_revision


@pytest.fixture
def empty_database(
    servers: TestServers, worker: str, environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Set a database of this test's own, without a schema, in the environment."""
    name = sql.Identifier(f"empty_{servers.run}_{worker}")
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        url = with_database(servers.database_url, f"empty_{servers.run}_{worker}")
        monkeypatch.setenv("PAPERBOY_DATABASE_URL", url)
        yield url
        drop_database(admin, f"empty_{servers.run}_{worker}")


@pytest.mark.parametrize("command", [["status"], ["publish"], ["subscribers", "list"]])
def test_an_operators_database_is_only_migrated_on_request(
    empty_database: str, paperboy: Paperboy, command: list[str]
) -> None:
    result = paperboy(*command)
    assert (result.code, result.out) == (1, "")
    hint = "the database is not at the newest schema; run: paperboy migrate"
    assert result.complaint == hint
    assert current_revision(empty_database) is None


def test_migrate_brings_it_to_head_and_again_changes_nothing(
    empty_database: str, paperboy: Paperboy
) -> None:
    first = paperboy("migrate")
    assert (first.code, first.err) == (0, "")
    assert first.out == f"The schema is at revision {head_revision()}.\n"
    assert paperboy("--json", "migrate").value == {"revision": head_revision(), "like": True}
    assert paperboy("status").code == 0


@pytest.mark.slow
def test_the_embedded_database_is_migrated_automatically(
    process: Paperboy, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SMTP_URL"):
        monkeypatch.delenv(f"PAPERBOY_{name}")
    monkeypatch.setenv("PAPERBOY_DATA_DIR", str(data_dir))
    result = process("--json", "status")
    assert (result.code, result.err) == (0, "")
    assert result.value["subscribers"] == {}
    added = process("subscribers", "add", "a@example.org")
    assert added.out == "a@example.org is pending; a confirmation mail is queued.\n"
    assert process("--json", "deliver").value["sent"] == 1
    assert len(list((data_dir / "mailbox" / "new").iterdir())) == 1


def findings(paperboy: Paperboy, *more: str) -> dict[str, tuple[str, str]]:
    """Subject -> (state, detail)."""
    found = paperboy("--json", "doctor", *more).value
    return {finding["subject"]: (finding["state"], finding["detail"]) for finding in found}


@pytest.fixture
def quiet_doctor(monkeypatch: pytest.MonkeyPatch, environment: None) -> None:
    """Set a sender without public DNS, since name servers cannot be reached here."""
    monkeypatch.setenv("PAPERBOY_MAIL_FROM", "Paperboy <digest@localhost>")
    monkeypatch.setenv("PAPERBOY_BASE_URL", f"http://127.0.0.1:{free_port()}")


def test_the_doctor_checks_every_part(
    quiet_doctor: None, paperboy: Paperboy, smtp_sink: SmtpSink
) -> None:
    found = findings(paperboy)
    assert found["database"][0] == "good"
    assert found["broker"] == ("good", "answers")
    assert found[f"relay 127.0.0.1:{smtp_sink.port}"] == ("good", "listens")
    assert found["source arxiv"][0] == "warn"
    assert found["one-click"][0] == "warn"
    assert smtp_sink.messages == []


def test_the_doctor_says_what_to_do(quiet_doctor: None, paperboy: Paperboy) -> None:
    result = paperboy("doctor")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert "✓ broker: answers" in lines
    assert lines[lines.index("! sender: localhost is no public domain") + 1] == (
        "    Set PAPERBOY_MAIL_FROM"
    )


def test_the_doctor_mails_only_the_probe_address(
    quiet_doctor: None, paperboy: Paperboy, smtp_sink: SmtpSink
) -> None:
    found = findings(paperboy, "--probe", "me@example.org")
    assert found["probe"][0] == "good"
    assert smtp_sink.recipients() == ["me@example.org"]


def test_the_doctor_checks_an_installation_without_database_and_relay(
    quiet_doctor: None, paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch, smtp_sink: SmtpSink
) -> None:
    monkeypatch.setenv("PAPERBOY_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("PAPERBOY_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("PAPERBOY_SMTP_URL", f"smtp://127.0.0.1:{free_port()}")
    result = paperboy("doctor")
    assert result.code == 1
    assert result.complaint.startswith("3 faults: database, broker, relay 127.0.0.1:")
    assert sum(line.startswith("✗") for line in result.out.splitlines()) == 3


def test_the_doctor_reports_an_old_schema(
    empty_database: str, quiet_doctor: None, paperboy: Paperboy
) -> None:
    result = paperboy("doctor")
    assert result.code == 1
    assert "Run: paperboy migrate" in result.out
    assert result.complaint == "1 fault: database"


def test_the_doctor_names_a_locale_that_knows_only_ascii(
    servers: TestServers,
    worker: str,
    quiet_doctor: None,
    paperboy: Paperboy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = sql.Identifier(f"plain_{servers.run}_{worker}")
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        plain = "CREATE DATABASE {} TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'"
        admin.execute(sql.SQL(plain).format(name))
        url = with_database(servers.database_url, f"plain_{servers.run}_{worker}")
        monkeypatch.setenv("PAPERBOY_DATABASE_URL", url)
        assert paperboy("migrate").code == 0
        result = paperboy("doctor")
        drop_database(admin, f"plain_{servers.run}_{worker}")
    assert result.code == 0
    assert "É does not match é" in result.out


def test_the_shell_completes_commands(process: Paperboy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PAPERBOY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "paperboy subscribers ad")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert process().out.split() == ["add"]


def test_a_command_without_a_relay_mails_into_its_own_mailbox(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PAPERBOY_SMTP_URL")
    paperboy(*NOW, "subscribers", "add", "a@example.org")
    assert paperboy(*LATER, "--json", "deliver").value["sent"] == 1
    (kept,) = (tmp_path / "data" / "mailbox" / "new").iterdir()
    assert b"X-Envelope-To: a@example.org" in kept.read_bytes()
