"""The limits of the web site's statements: a real site whose tables somebody else has locked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import psycopg
import pytest
from support.servers.processes import settings_environ
from support.smtp.smtp_sink import free_port, wait_until

from service.cli.processes import Stack
from service.platform.settings.settings import Settings

PASSWORD = "quite a long operator's password"


@pytest.fixture
def site(settings: Settings) -> Iterator[str]:
    """The site as every installation runs it, with the limits of an installation."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = settings_environ(settings, BASE_URL=url, ADMIN_PASSWORD=PASSWORD)
    with Stack(settings, {}, environ=environ) as stack:
        stack.start("web", "--host", "127.0.0.1", "--port", str(port))
        stack.wait_for_web(url)
        yield url


@contextmanager
def locked(database_url: str, table: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield connection


def count_waiting(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database() AND now() - query_start > interval '3 seconds'"
        ).fetchone()
    assert row
    return int(row[0])


def test_a_visitor_whose_statement_takes_too_long_is_asked_to_come_back(
    site: str, database_url: str
) -> None:
    with locked(database_url, "papers"):
        answer = httpx2.get(site, timeout=20)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "This took too long" in answer.text
    assert "Please try again in a minute" in answer.text
    assert "Content-Security-Policy" in answer.headers
    assert httpx2.get(site, timeout=20).is_success


def test_an_operators_page_may_take_longer(site: str, database_url: str) -> None:
    answers: list[httpx2.Response] = []

    def visit() -> None:
        answers.append(httpx2.get(f"{site}/admin", auth=("me", PASSWORD), timeout=30))

    visitor = threading.Thread(target=visit)
    with locked(database_url, "deliveries"):
        visitor.start()
        # Longer than a visitor's statement could wait.
        wait_until(lambda: count_waiting(database_url) > 0, 20)
    visitor.join()
    assert [answer.status_code for answer in answers] == [200]
