"""The site started by uvicorn and configured only by the environment."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from support.smtp.smtp_sink import free_port, wait_until

from service.platform.settings.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PAPERBOY_DATABASE_URL": settings.database_url,
        "PAPERBOY_REDIS_URL": settings.redis_url,
        "PAPERBOY_DATA_DIR": str(settings.data_dir),
        "PAPERBOY_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "uvicorn", "--factory"]
    command += ["service.web.asgi:app_from_environment", "--port", str(port)]
    command += ["--no-access-log", "--no-proxy-headers"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    address = f"http://127.0.0.1:{port}"
    wait_until(lambda: _answers(address), seconds=30)
    yield address
    process.terminate()
    assert process.wait(timeout=15) in {0, -15}


def _answers(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def test_the_site_starts_from_the_environment_and_is_ready(address: str) -> None:
    assert httpx2.get(f"{address}/readyz").json()["status"] == "ok"
    answer = httpx2.post(f"{address}/subscribe", data={"email": "reader@example.org"})
    assert answer.status_code == 200
    assert httpx2.get(f"{address}/mailbox").status_code == 200
