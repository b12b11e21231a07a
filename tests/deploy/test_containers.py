"""What a container may do, know and take: every service of the compose file, and the image's health check."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.servers.log_lines import named, read_lines
from support.servers.loopback_http import LoopbackHttp
from support.servers.processes import SECRET_KEY
from support.smtp.smtp_sink import free_port, wait_until

from service.platform.settings.load import SECRETS
from service.platform.settings.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSED = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSED["services"]
OURS = {n: s for n, s in SERVICES.items() if s["image"].startswith("paperboy:")}

SENDERS = {"database_url", "redis_url", "broker_url", "secret_key", "smtp_url", "bounce_mailbox"}
# The secrets of each role that is no worker. An address without a password is no secret.
KNOWN = {
    "migrate": {"database_url"},
    "web": {
        "database_url",
        "redis_url",
        "broker_url",
        "secret_key",
        "admin_password",
        "api_key",
        "hooks",
    },
    "beat": {"redis_url", "broker_url"},
}

every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@every_service
def test_a_service_writes_no_file_of_its_image_and_gains_no_right(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@every_service
def test_no_service_is_root(service: dict[str, Any]) -> None:
    if service in OURS.values():
        assert "user" not in service
        assert re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE) == [
            "10001"
        ]
    else:
        assert str(service["user"]) not in {"0", "root"}


@every_service
def test_a_service_has_limits_of_memory_processes_and_open_files(service: dict[str, Any]) -> None:
    limit = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", service["mem_limit"])
    assert re.fullmatch(r"\d+[mg]", limit)
    assert 0 < service["pids_limit"] <= 1024
    assert 0 < service["ulimits"]["nofile"] <= 65536


@every_service
def test_docker_keeps_a_few_log_files_of_limited_size(service: dict[str, Any]) -> None:
    assert service["logging"]["driver"] == "json-file"
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


def passed_to(service: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    """Return the variables of a container as compose makes them from the lines of `.env`.

    A value that is null comes from `.env`; what `environment` does not name, from `env_file`.
    """

    def fill(text: str | None, name: str) -> str:
        if text is None:
            return given.get(name, "")
        return re.sub(
            r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: given.get(found[1]) or found[2], text
        )

    own = {name: fill(text, name) for name, text in service.get("environment", {}).items()}
    return (given if service.get("env_file") else {}) | own


@pytest.mark.parametrize("role", SERVICES)
def test_a_role_knows_only_its_own_secrets(role: str) -> None:
    names = {f"PAPERBOY_{name.upper()}": name for name in SECRETS}
    given = {name: f"hidden-{name.lower()}" for name in names}
    given |= {"POSTGRES_PASSWORD": "hidden-postgres", "REDIS_PASSWORD": "hidden-redis"}
    passed = passed_to(SERVICES[role], given)
    if role not in OURS:
        known = {"prometheus": {"PAPERBOY_ADMIN_PASSWORD"}, "postgres": {"POSTGRES_PASSWORD"}}
        hidden = {name for name, value in passed.items() if value.startswith("hidden-")}
        assert hidden == known.get(role, {"REDISCLI_AUTH"} if role == "redis" else set())
        return
    held = {names[name] for name in names if "hidden-" in passed[name]}
    assert held == KNOWN.get(role, SENDERS)
    assert not passed["POSTGRES_PASSWORD"]
    assert not passed["REDIS_PASSWORD"]
    # Files are mounted for the workers alone.
    assert "PAPERBOY_DKIM_KEYS" in passed


def program_of(service: dict[str, Any], changes: dict[str, str]) -> list[str]:
    words = [*service.get("entrypoint", ["service.cli"]), *service["command"]]
    program, *arguments = [changes.get(word, word) for word in words]
    # Ours is `python -m MODULE`; the other programs are modules, too.
    return [sys.executable, *(() if program == "python" else ("-m", program)), *arguments]


@contextmanager
def started(command: list[str], environ: dict[str, str], output: Path) -> Iterator[None]:
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
@pytest.mark.parametrize("role", OURS)
def test_a_role_starts_with_what_compose_passes_and_prints_lines_of_json(
    role: str, settings: Settings, tmp_path: Path
) -> None:
    """Run the command of the file, with stdout and stderr in one pipe, as Docker reads them."""
    given = {
        "POSTGRES_PASSWORD": "p",
        "REDIS_PASSWORD": "r",
        "PAPERBOY_SECRET_KEY": SECRET_KEY,
        "PAPERBOY_BASE_URL": settings.base_url,
        "PAPERBOY_MAIL_FROM": settings.mail_from,
        "PAPERBOY_SMTP_URL": " ".join(settings.smtp_url),
    }
    passed = passed_to(OURS[role], given) | {"PAPERBOY_DATA_DIR": str(tmp_path)}
    # The tests' servers; an address without its password is left as it is, and nothing answers there.
    here = {
        "PAPERBOY_DATABASE_URL": settings.database_url,
        "PAPERBOY_REDIS_URL": settings.redis_url,
    }
    passed |= {name: url for name, url in here.items() if "@" in passed[name]}
    machine = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    environ = machine | passed | {"PAPERBOY_ENV_FILE": os.devnull}
    port = str(free_port())
    changes = {"${WORKER_PROCESSES:-2}": "2", "8000": port, "0.0.0.0": "127.0.0.1"}  # noqa: S104
    changes["/tmp/celerybeat-schedule"] = str(tmp_path / "schedule")  # noqa: S108
    command, output = program_of(OURS[role], changes), tmp_path / "output"
    if role == "migrate":
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        return
    line = {"web": "Uvicorn running on", "beat": "beat: Starting..."}.get(role, " ready.")
    with started(command, environ, output):
        wait_until(lambda: line in output.read_text(), 40)
        if role == "web":
            check = [word.replace("8000", port) for word in OURS["web"]["healthcheck"]["test"][1:]]
            # Its processes listen a moment after the one that starts them has said so.
            wait_until(lambda: run_check(check).returncode == 0, 60)
    stopped = named(read_lines(output), "worker.stopping")
    assert bool(stopped) == (line == " ready.")


def health_check(port: int) -> list[str]:
    """Return the image's health check, of a site on another port."""
    (found,) = re.findall(r"^HEALTHCHECK [^[]*(\[.*\])$", _joined_lines(), re.MULTILINE)
    words: list[str] = json.loads(found)
    assert ["CMD", *words] == SERVICES["web"]["healthcheck"]["test"]
    return [word.replace("8000", str(port)) for word in words]


def _joined_lines() -> str:
    return (ROOT / "Dockerfile").read_text().replace("\\\n", "")


def run_check(words: list[str]) -> subprocess.CompletedProcess[bytes]:
    assert words[0] == "python"
    return subprocess.run([sys.executable, *words[1:]], capture_output=True, check=False)


@pytest.mark.parametrize("status", [200, 404, 503])
def test_the_health_check_believes_only_a_good_answer(
    loopback_http: LoopbackHttp, status: int
) -> None:
    loopback_http.routes["/healthz"] = (status, {}, b"{}")
    done = run_check(health_check(loopback_http.port))
    assert (done.returncode == 0) == (status == 200)


def test_the_health_check_fails_where_nothing_listens() -> None:
    assert run_check(health_check(free_port())).returncode != 0


def test_the_health_check_imports_next_to_nothing() -> None:
    first, flags = health_check(8000)[0], health_check(8000)[1:3]
    assert flags == ["-I", "-S"]
    script = "import socket, sys; print(len(sys.modules))"
    done = subprocess.run([sys.executable, *flags, "-c", script], capture_output=True, check=True)
    assert "import socket;" in health_check(8000)[-1]
    assert int(done.stdout) < 80, first


def test_every_metric_of_the_alarms_is_in_the_table_of_metrics() -> None:
    groups = yaml.safe_load((ROOT / "docs/deploy/alarms.yml").read_text())["groups"]
    alarms = [rule["expr"] for group in groups for rule in group["rules"]]
    page = (ROOT / "docs/operations.md").read_text()
    for name in set(re.findall(r"paperboy_(\w+)", " ".join(alarms))):
        assert f"`{name}`" in page, name


def test_prometheus_finds_its_files_and_the_site() -> None:
    prometheus = SERVICES["prometheus"]
    mounted = [volume.split(":")[0] for volume in prometheus["volumes"] if volume[0] == "."]
    assert [(ROOT / path).is_file() for path in mounted] == [True, True]
    configured = yaml.safe_load((ROOT / "docs/deploy/prometheus.yml").read_text())
    (job,) = configured["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["web:8000"]}]
    assert job["basic_auth"]["password_file"] in prometheus["entrypoint"][2]
    assert set(prometheus["networks"]) & set(SERVICES["web"]["networks"])
