"""The embedded servers: shared by processes, stopped by the last, and robust against kills.

The sharing tests use Valkey, which starts fast; the code is the same for both.
"""

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis
from kombu.connection import Connection
from support.servers.embedded_using import (
    execute,
    is_running,
    kill,
    other_user,
    pid_of,
    ping,
    postgres_of,
    query,
    start_user,
    urls_of,
    valkey_of,
)
from support.smtp.smtp_sink import wait_until

from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded, resolve_services
from service.platform.embedded.servers import buffers_mib, memory_mib
from service.platform.settings.settings import Settings


def test_a_first_start_makes_a_database_with_vectors_and_unicode(data_dir: Path) -> None:
    with postgres_of(data_dir) as services:
        assert query(services.database_url, "SELECT '[1,2]'::vector <-> '[1,2]'::vector") == "0.0"
        assert query(services.database_url, "SELECT lower('ÄÖÉ')") == "äöé"
        assert query(services.database_url, "SHOW server_version").startswith("18.")


def test_the_service_is_no_superuser_and_cannot_become_one(data_dir: Path) -> None:
    with Embedded(data_dir, valkey=False) as services:
        url = services.database_url
        rights = "SELECT rolsuper, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles"
        with psycopg.connect(url) as connection:
            row = connection.execute(f"{rights} WHERE rolname = current_user").fetchone()
            assert row == (False, False, False, False)
            owned = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'paperboy'"
            assert connection.execute(owned).fetchone() == ("paperboy",)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("COPY (SELECT 1) TO PROGRAM 'id'")
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
            psycopg.connect(url.replace("//paperboy@", "//postgres@"))


def test_migrations_run_as_the_databases_owner_and_find_the_extension(data_dir: Path) -> None:
    with Embedded(data_dir, valkey=False) as services:
        upgrade(services.database_url)
        assert query(services.database_url, "SELECT to_regclass('paper_meanings')") != "None"
        foreign = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner <> 'paperboy'"
        assert query(services.database_url, foreign) == "0"


def test_only_the_servers_account_enters_the_directory_of_a_socket(data_dir: Path) -> None:
    with Embedded(data_dir, durable=False) as services:
        postgres = Path(services.database_url.partition("host=")[2])
        valkey = Path(services.redis_url.removeprefix("unix://")).parent
        for directory in (postgres, valkey):
            assert directory.stat().st_mode & 0o777 == 0o700
            account = pwd.getpwuid(directory.stat().st_uid).pw_name
            assert account != "nobody"
            assert account != "root" or os.geteuid() != 0
        for log in (data_dir / "run").glob("*.log"):
            assert log.stat().st_mode & 0o777 == 0o640, log


def test_nothing_listens_on_the_network(data_dir: Path) -> None:
    with Embedded(data_dir, durable=False) as services:
        assert query(services.database_url, "SHOW listen_addresses") == ""
        assert query(services.database_url, "SHOW unix_socket_permissions") == "0700"
        with redis.Redis.from_url(services.redis_url) as client:
            assert client.config_get("port") == {"port": "0"}
        socket = Path(services.redis_url.removeprefix("unix://"))
        assert socket.stat().st_mode & 0o777 == 0o700


def test_crash_safety_is_on_unless_a_test_turns_it_off(data_dir: Path) -> None:
    with Embedded(data_dir, valkey=False) as services:
        assert query(services.database_url, "SHOW fsync") == "on"
    with postgres_of(data_dir) as services:
        assert query(services.database_url, "SHOW fsync") == "off"


def test_pages_are_kept_in_an_eighth_of_the_memory(data_dir: Path) -> None:
    sizes = (512, 1_024, 2_048, 4_096, 65_536)
    assert [buffers_mib(mib) for mib in sizes] == [128, 128, 256, 512, 512]
    with postgres_of(data_dir) as services:
        kept = query(services.database_url, "SHOW shared_buffers")
        assert kept == f"{buffers_mib(memory_mib())}MB"
        assert query(services.database_url, "SHOW io_method") == "sync"


def test_a_container_has_the_memory_that_it_may_take(tmp_path: Path) -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    limit = tmp_path / "memory.max"
    assert memory_mib(limit) == machine
    for text, expected in (("268435456\n", 256), ("max\n", machine), (f"{2**60}\n", machine)):
        limit.write_text(text)
        assert memory_mib(limit) == expected, text


def test_what_was_stored_is_there_at_the_next_start(data_dir: Path) -> None:
    with postgres_of(data_dir) as services:
        execute(services.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with postgres_of(data_dir) as services:
        assert query(services.database_url, "SELECT answer FROM kept") == "42"


def test_the_queue_can_be_reached_by_celery(data_dir: Path) -> None:
    with valkey_of(data_dir) as services:
        settings = Settings(redis_url=f"{services.redis_url}?db=3")
        with Connection(settings.queue_url) as connection:  # type: ignore[no-untyped-call]  # kombu has no annotations
            queue = connection.SimpleQueue("bell")
            queue.put({"ids": [7]})
            with redis.Redis.from_url(settings.redis_url) as client:
                assert client.llen("bell") == 1
            message = queue.get(timeout=5)
            assert message.payload == {"ids": [7]}
            message.ack()
            queue.close()


def test_two_users_share_one_server_and_the_last_to_leave_stops_it(data_dir: Path) -> None:
    first, second = valkey_of(data_dir), valkey_of(data_dir)
    url = first.start().redis_url
    pid = pid_of(data_dir, "valkey.server")
    assert second.start().redis_url == url
    assert pid_of(data_dir, "valkey.server") == pid
    first.stop()
    assert ping(url)
    second.stop()
    assert not is_running(data_dir, "valkey")


def test_processes_that_start_at_once_share_one_server(data_dir: Path) -> None:
    users = [start_user(data_dir, "valkey") for _ in range(4)]
    assert len({urls_of(user)[1] for user in users}) == 1
    pid = pid_of(data_dir, "valkey.server")
    for user in users[:3]:
        user.communicate()
    assert pid_of(data_dir, "valkey.server") == pid
    assert is_running(data_dir, "valkey")
    users[3].communicate()
    assert not is_running(data_dir, "valkey")


def test_stopping_twice_or_without_a_start_is_harmless(data_dir: Path) -> None:
    embedded = valkey_of(data_dir)
    embedded.stop()
    embedded.start()
    embedded.stop()
    embedded.stop()
    assert not is_running(data_dir, "valkey")


def test_a_killed_user_neither_stops_the_server_nor_keeps_it_alive(data_dir: Path) -> None:
    with valkey_of(data_dir) as services:
        with other_user(data_dir) as user:
            assert urls_of(user)[1] == services.redis_url
            user.kill()
        assert ping(services.redis_url)
    assert not is_running(data_dir, "valkey")


def test_the_servers_stop_when_all_their_users_are_killed(data_dir: Path) -> None:
    with other_user(data_dir, "both") as user:
        urls_of(user)
        assert is_running(data_dir, "postgres")
        user.kill()
    wait_until(lambda: not is_running(data_dir, "postgres"), 30)
    wait_until(lambda: not is_running(data_dir, "valkey"))


def test_a_server_that_dies_is_started_again_for_those_who_use_it(data_dir: Path) -> None:
    with valkey_of(data_dir) as services:
        first = pid_of(data_dir, "valkey.server")
        kill(first)
        wait_until(lambda: pid_of(data_dir, "valkey.server") != first)
        wait_until(lambda: can(lambda: ping(services.redis_url)))


def can(act: Callable[[], bool]) -> bool:
    try:
        return act()
    except redis.ConnectionError:
        return False


def test_a_server_whose_supervisor_was_killed_is_adopted_and_then_stopped(data_dir: Path) -> None:
    first = valkey_of(data_dir)
    url = first.start().redis_url
    pid = pid_of(data_dir, "valkey.server")
    kill(pid_of(data_dir, "valkey.keeper"))
    with valkey_of(data_dir):
        assert pid_of(data_dir, "valkey.server") == pid
        assert ping(url)
        first.stop()
        assert ping(url)
    assert not is_running(data_dir, "valkey")


def test_it_starts_again_after_everything_was_killed_at_once(data_dir: Path) -> None:
    with other_user(data_dir, "both", "durable") as user:
        database_url, _ = urls_of(user)
        execute(database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        for name in ("postgres.keeper", "valkey.keeper", "postgres.server", "valkey.server"):
            kill(pid_of(data_dir, name))
        user.kill()
    # As after a reboot: the number in the stale pid file now belongs to another running process.
    stale = data_dir / "postgres" / "data" / "postmaster.pid"
    lines = stale.read_text().splitlines()
    wait_until(lambda: not is_running(data_dir, "postgres"))
    stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with Embedded(data_dir) as services:
        assert query(services.database_url, "SELECT answer FROM kept") == "42"
        assert ping(services.redis_url)


def test_a_half_created_database_of_a_killed_start_is_replaced(data_dir: Path) -> None:
    left = data_dir / "postgres" / "data.new"
    with postgres_of(data_dir):
        pass
    (data_dir / "postgres" / "data").rename(left)
    (left / "PG_VERSION").write_text("half")
    with postgres_of(data_dir) as services:
        assert query(services.database_url, "SELECT 1") == "1"
    assert not left.exists()


def test_only_the_missing_server_is_started(data_dir: Path) -> None:
    given = Settings(data_dir=data_dir, database_url="postgresql://named.example/db")
    with resolve_services(given) as settings:
        assert settings.database_url == "postgresql://named.example/db"
        assert ping(settings.redis_url)
    assert not (data_dir / "postgres").exists()


def test_nothing_is_started_where_both_are_named(data_dir: Path) -> None:
    given = Settings(data_dir=data_dir, database_url="postgresql://a/b", redis_url="redis://c/0")
    with resolve_services(given) as settings:
        assert settings == given
    assert not data_dir.exists()
