"""The site started by uvicorn and configured only by the environment."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from support.smtp.smtp_sink import free_port, wait_until
from support.web.process import ROOT, running, running_as

from service.cli.processes import COMMANDS
from service.platform.settings.settings import Settings
from service.web import serve


def test_the_site_starts_from_the_environment_and_is_ready(
    settings: Settings, tmp_path: Path
) -> None:
    with running(settings, tmp_path / "log") as address:
        assert httpx2.get(f"{address}/readyz").json()["status"] == "ok"
        answer = httpx2.post(f"{address}/subscribe", data={"email": "reader@example.org"})
        assert answer.status_code == 200
        assert httpx2.get(f"{address}/mailbox").status_code == 200


def sign_up_from(address: str, visitor: Callable[[int], str]) -> list[int]:
    """Sign up 31 times, which is once more than a visitor may; return the statuses."""
    return [
        httpx2.post(
            f"{address}/subscribe",
            data={"email": f"reader{n}@example.org"},
            headers={"X-Forwarded-For": visitor(n)},
        ).status_code
        for n in range(31)
    ]


def assert_no_visitor_in(log: Path, address: str) -> None:
    """Send a wrong password to `/admin`; the log has the refusal, and no visitor's address."""
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    answer = httpx2.get(f"{address}/admin", auth=("me", "wrong"), headers=forwarded)
    assert answer.status_code == 401
    text = log.read_text()
    assert "admin.refused" in text
    assert not re.search(r"203\.0\.113|127\.0\.0\.1\b(?!:)", text)


@pytest.mark.parametrize("trusted", [None, "192.0.2.0/24 ::1"])
def test_a_header_from_an_untrusted_address_changes_no_limit(
    settings: Settings, tmp_path: Path, trusted: str | None
) -> None:
    log, changes = tmp_path / "log", {"ADMIN_PASSWORD": "a long password"}
    changes |= {"TRUSTED_PROXIES": trusted} if trusted else {}
    with running(settings, log, **changes) as address:
        codes = sign_up_from(address, lambda n: f"203.0.113.{n}")
        assert codes == [200] * 30 + [429]
        assert_no_visitor_in(log, address)


def test_a_header_from_a_trusted_proxy_names_the_visitor(
    settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    changes = {"ADMIN_PASSWORD": "a long password", "TRUSTED_PROXIES": "127.0.0.0/8"}
    with running(settings, log, **changes) as address:
        assert set(sign_up_from(address, lambda n: f"203.0.113.{n}")) == {200}
        # A visitor may send the header as well; only what the proxy added counts.
        codes = sign_up_from(address, lambda n: f"198.51.100.{n}, 203.0.113.99")
        assert codes == [200] * 30 + [429]
        assert_no_visitor_in(log, address)


def test_a_password_that_can_be_guessed_is_one_line_and_no_site(
    settings: Settings, tmp_path: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PAPERBOY_DATABASE_URL": settings.database_url,
        "PAPERBOY_REDIS_URL": settings.redis_url,
        "PAPERBOY_DATA_DIR": str(tmp_path),
        "PAPERBOY_ADMIN_PASSWORD": "paperboy2026",
    }
    command = [sys.executable, *COMMANDS["web"], "--port", str(free_port())]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("PAPERBOY_ADMIN_PASSWORD: the password is easy to guess")


def servers_of(parent: int) -> list[int]:
    """Return the processes that serve the site for another one."""
    servers = []
    for each in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        # One that its parent has just buried is in the list that was read and nowhere else.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if "spawn_main" in Path(f"/proc/{each}/cmdline").read_text():
                servers.append(int(each))
    return servers


def is_served(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def test_a_process_that_dies_is_replaced_and_none_outlives_its_parent(
    settings: Settings, tmp_path: Path
) -> None:
    with running_as(settings, tmp_path / "log", WEB_PROCESSES="2") as (address, parent):
        first = servers_of(parent)
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        # A parent that is just asking the one that dies waits for its answer first.
        wait_until(
            lambda: len({*servers_of(parent)} - {*first}) == 1, seconds=2 * serve.HUNG_SECONDS
        )
        assert is_served(address)
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: not is_served(address), seconds=30)
