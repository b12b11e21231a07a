"""The files of docs/deploy work: real proxies in front of the real site, units that systemd accepts."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
import yaml
from support.newsletter.press import Press
from support.smtp.smtp_sink import free_port, wait_until

from service.cli.processes import COMMANDS
from service.deliveries.domain.recipients import SubscriberState
from service.papers.domain.source_names import SOURCE_NAMES
from service.platform.settings.load import load_settings
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose, make_token, sign_token
from service.subscribers.store.models import Subscriber
from service.web.core.middleware import MAX_HOOK_BYTES, TOKEN_PATHS

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
HOST, KEY = "papers.example.org", "a-key-of-this-test-alone"
# Debian keeps nginx where only root looks.
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])


# --- Proxies --------------------------------------------------------------------------------


@contextmanager
def running_site(settings: Settings, log: Path) -> Iterator[int]:
    """Serve the site as `paperboy up` does, behind a proxy on this machine; yield its port."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PAPERBOY_DATABASE_URL": settings.database_url,
        "PAPERBOY_REDIS_URL": settings.redis_url,
        "PAPERBOY_SECRET_KEY": KEY,
        "PAPERBOY_DATA_DIR": str(settings.data_dir),
        "PAPERBOY_BASE_URL": f"https://{HOST}",
        "PAPERBOY_ADMIN_PASSWORD": "a long password",
        "PAPERBOY_TRUSTED_PROXIES": "127.0.0.1",
    }
    command = [sys.executable, *COMMANDS["web"], "--port", str(port)]
    with log.open("wb") as file, ending(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=file)):  # fmt: skip
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/healthz"), seconds=120)
        yield port


@contextmanager
def ending(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def make_certificate(folder: Path) -> None:
    """Write a self-signed certificate of the site, and its key beside it."""
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    name = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*command, *name, *files], check=True, capture_output=True)


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """Replace each text, which must be there."""
    for before, after in pairs:
        assert before in text, before
        text = text.replace(before, after)
    return text


def nginx_command(folder: Path, site: int, http: int, https: int) -> list[str]:
    """Return nginx with our file: only its ports and its paths are changed."""
    ours = replaced(
        (DEPLOY / "nginx.conf").read_text(),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("    listen [::]:80;\n", ""),
        ("listen 443 ", f"listen 127.0.0.1:{https} "),
        ("    listen [::]:443 ssl http2;\n", ""),
        (f"/etc/letsencrypt/live/{HOST}", str(folder)),
        ("/var/log/nginx", str(folder)),
        ("127.0.0.1:8000", f"127.0.0.1:{site}"),
    )
    (folder / "site.conf").write_text(ours)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Otherwise root's nginx serves as nobody, who may not write into a folder of pytest.
    user = "user root;\n" if os.geteuid() == 0 else ""
    around = f"{user}pid {folder}/pid;\nevents {{}}\nhttp {{\n{temporary}include {folder}/site.conf;\n}}\n"
    (folder / "nginx.conf").write_text(around)
    program = shutil.which("nginx", path=PATH) or "nginx"
    command = [program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "errors.log")]
    tested = subprocess.run([*command, "-t"], check=False, capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
    return [*command, "-g", "daemon off;"]


def caddy_command(folder: Path, site: int, http: int, https: int) -> list[str]:
    """Return Caddy with our file: only ports, and a certificate in place of one from an authority."""
    options = (
        f"\tadmin off\n\tauto_https disable_redirects\n\thttp_port {http}\n\thttps_port {https}\n"
    )
    ours = replaced(
        (DEPLOY / "Caddyfile").read_text(),
        (f"\n{HOST} {{\n", f"\n{HOST} {{\n\ttls {folder}/fullchain.pem {folder}/privkey.pem\n\tbind 127.0.0.1\n"),
        ("127.0.0.1:8000", f"127.0.0.1:{site}"),
        ("\n{\n", f"\n{{\n{options}"),
    )  # fmt: skip
    (folder / "Caddyfile").write_text(ours)
    words = ["--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    tested = subprocess.run(
        ["caddy", "validate", *words],
        check=False, capture_output=True, text=True, env={"HOME": str(folder), "PATH": PATH},
    )  # fmt: skip
    assert tested.returncode == 0, tested.stderr
    return ["caddy", "run", *words]


@contextmanager
def running_proxy(kind: str, folder: Path, site: int) -> Iterator[httpx2.Client]:
    """Run a proxy with our file; yield a client, at 127.0.0.2, that trusts its certificate."""
    make_certificate(folder)
    http, https = free_port(), free_port()
    make = nginx_command if kind == "nginx" else caddy_command
    command = make(folder, site, http, https)
    url = f"https://127.0.0.1:{https}"
    environment = {"HOME": str(folder), "PATH": PATH}
    with (
        (folder / "proxy.log").open("wb") as log,
        ending(subprocess.Popen(command, stderr=log, stdout=log, env=environment)),
        visitor(folder, "127.0.0.2", url) as client,
    ):
        wait_until(lambda: _is_up(client), seconds=20)
        yield client


def visitor(folder: Path, address: str, url: str) -> httpx2.Client:
    """Return a client at an address of this machine that trusts the certificate."""
    trusted = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    transport = httpx2.HTTPTransport(verify=trusted, local_address=address)
    # The name is the site's, the connection goes to this machine.
    hooks = {"request": [_name_the_site]}
    return httpx2.Client(
        base_url=url, transport=transport, headers={"Host": HOST}, event_hooks=hooks
    )


def _name_the_site(request: httpx2.Request) -> None:
    request.extensions["sni_hostname"] = HOST


def _is_up(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("nginx", marks=pytest.mark.program("nginx")),
        pytest.param("caddy", marks=pytest.mark.program("caddy")),
    ],
)
def test_behind_a_proxy_visitors_are_told_apart_and_one_click_works(
    press: Press, settings: Settings, tmp_path: Path, kind: str
) -> None:
    (anne,) = press.add_subscribers("anne@example.org")
    with press.sessions() as session:
        holder = session.get_one(Subscriber, anne)
    token = sign_token(make_token(Purpose.UNSUBSCRIBE, holder, datetime.now(UTC)), (KEY,))
    log = tmp_path / "site.log"
    with running_site(settings, log) as site, running_proxy(kind, tmp_path, site) as client:
        # The visitor's address is the real one, whatever the visitor writes: nobody gets more
        # sign-ups by another header, and none of them counts against another visitor.
        sign_ups = [sign_up(client, f"203.0.113.{n}") for n in range(31)]
        assert sign_ups == [200] * 30 + [429]
        with visitor(tmp_path, "127.0.0.3", str(client.base_url)) as other:
            assert sign_up(other, "127.0.0.2") == 200
        # Links are https links of the site.
        assert f"https://{HOST}/" in client.get("/feeds/daily.atom").text
        # RFC 8058: no cookie, no redirect.
        answer = client.post(
            f"/unsubscribe/{token}", files={"List-Unsubscribe": (None, "One-Click")}
        )
        assert (answer.status_code, answer.history) == (200, [])
        assert "set-cookie" not in answer.headers
        # A provider's largest call reaches the site, which has no key for it.
        assert client.post("/hooks/generic", content=b"x" * MAX_HOOK_BYTES).status_code == 404
    with press.sessions() as session:
        assert session.get_one(Subscriber, anne).state is SubscriberState.UNSUBSCRIBED
    written = [path.read_text(errors="replace") for path in tmp_path.glob("*.log")]
    assert not [text for text in written if token in text]


# Far more than the timeouts of both files, and less than their defaults, of which some are endless.
CUT_WITHIN_SECONDS = 50.0
SLOW_HEADERS = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Drip: ".encode()
SLOW_BODY = (
    f"POST /subscribe HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\n\r\nemail="
).encode()
IDLE = f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("kind", "dripping"),
    [
        # nginx measures the time between two pieces of a body: this client stops after the first.
        pytest.param("nginx", {SLOW_HEADERS}, marks=pytest.mark.program("nginx")),
        pytest.param("caddy", {SLOW_HEADERS, SLOW_BODY}, marks=pytest.mark.program("caddy")),
    ],
)
def test_a_proxy_cuts_slow_clients_and_serves_others(
    press: Press, settings: Settings, tmp_path: Path, kind: str, dripping: set[bytes]
) -> None:
    with (
        running_site(settings, tmp_path / "site.log") as site,
        running_proxy(kind, tmp_path, site) as client,
        ExitStack() as files,
    ):
        slow = {
            begin: files.enter_context(connect_by_tls(tmp_path, client))
            for begin in (SLOW_HEADERS, SLOW_BODY, IDLE)
        }
        for begin, connection in slow.items():
            connection.sendall(begin)
        until = time.monotonic() + CUT_WITHIN_SECONDS
        while slow and time.monotonic() < until:
            assert client.get("/healthz").status_code == 200
            for begin, connection in list(slow.items()):
                if is_cut(connection, drips=begin in dripping):
                    del slow[begin]
            time.sleep(0.5)
        assert not slow


def connect_by_tls(folder: Path, client: httpx2.Client) -> ssl.SSLSocket:
    trusted = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    plain = socket.create_connection(("127.0.0.1", client.base_url.port or 0), timeout=20)
    return trusted.wrap_socket(plain, server_hostname=HOST)


def is_cut(connection: ssl.SSLSocket, *, drips: bool) -> bool:
    """Send a byte if the client drips; return whether the proxy closed the connection."""
    try:
        if drips:
            connection.sendall(b"x")
        connection.settimeout(0.05)
        while connection.recv(65_536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def sign_up(client: httpx2.Client, forged: str) -> int:
    """Sign up with a forged address; return the status."""
    form, headers = {"email": "anne@example.org"}, {"X-Forwarded-For": forged}
    return client.post("/subscribe", data=form, headers=headers).status_code


def test_nginx_logs_no_link_with_a_token() -> None:
    (names,) = re.findall(r"~\^/\(([a-z|]+)\)/ 0;", (DEPLOY / "nginx.conf").read_text())
    assert {path.strip("/") for path in TOKEN_PATHS} <= set(names.split("|"))


# --- systemd --------------------------------------------------------------------------------


def exec_of(unit: Path) -> list[list[str]]:
    lines = re.findall(r"^Exec(?:StartPre|Start)=(.+)$", unit.read_text(), re.MULTILINE)
    return [line.split() for line in lines]


@pytest.mark.program("systemd-analyze")
def test_systemd_accepts_every_unit(tmp_path: Path) -> None:
    assert len(UNITS) == 8
    programs = Path(sys.executable).parent
    for unit in UNITS:
        text = unit.read_text().replace("/opt/paperboy/.venv/bin", str(programs))
        (tmp_path / unit.name).write_text(text.replace("/opt/paperboy", str(ROOT)))
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.glob("*.service")))],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.stem))
def test_every_unit_restarts_and_runs_a_program_of_ours(unit: Path) -> None:
    text = unit.read_text()
    assert "\nRestart=always\n" in text
    assert "\nEnvironmentFile=/etc/paperboy/paperboy.env\n" in text
    assert "\nUser=paperboy\n" in text
    for words in exec_of(unit):
        assert words[0].startswith("/opt/paperboy/.venv/bin/")
        assert (Path(sys.executable).parent / Path(words[0]).name).exists()


@pytest.mark.parametrize(
    "role", ["web", "worker-send", "worker-urgent", "worker-default", "worker-learn", "beat"]
)
def test_a_unit_runs_the_same_as_its_container(role: str) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    *_, (program, *words) = exec_of(DEPLOY / "systemd" / f"paperboy-{role}.service")
    first, *more = services[role]["entrypoint"]
    assert Path(program).name == first
    changed = {"0.0.0.0": "127.0.0.1", "${WORKER_PROCESSES:-2}": "2"}  # noqa: S104 - compose's
    changed["/tmp/celerybeat-schedule"] = "/var/lib/paperboy/celerybeat-schedule"  # noqa: S108
    if "-n" in words:
        # Two workers of one host need two names; a container is a host of its own.
        assert words[words.index("-n") :][:2] == ["-n", f"{role}@%%h"]
        at = words.index("-n")
        del words[at : at + 2]
    assert words == [changed.get(word, word) for word in (*more, *services[role]["command"])]


def test_workers_may_finish_mails_that_are_being_sent() -> None:
    from service.sending.smtp.limits import SMTP_LIMITS

    for name in ("paperboy", "paperboy-worker-send", "paperboy-worker-urgent"):
        text = (DEPLOY / "systemd" / f"{name}.service").read_text()
        (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
        assert int(seconds) > SMTP_LIMITS.final_dot_seconds
        assert "\nKillMode=mixed\n" in text


def test_the_settings_file_is_accepted_once_its_secrets_are_filled_in(tmp_path: Path) -> None:
    text = (DEPLOY / "paperboy.env").read_text()
    # systemd removes the quotes around a value.
    pairs = re.findall(r'^#?(PAPERBOY_\w+)="?([^"\n]*)"?$', text, re.MULTILINE)
    given = dict(pairs) | {
        "PAPERBOY_SECRET_KEY": "a-key-of-this-test-alone",
        "PAPERBOY_DATA_DIR": str(tmp_path),
    }
    settings = load_settings(SOURCE_NAMES, given)
    assert settings.trusted_proxies == ("127.0.0.1",)
    assert settings.mail_from == "Paperboy <digest@example.org>"
    assert settings.reads_bounce_domain
    assert 'PAPERBOY_MAIL_FROM="Paperboy <digest@example.org>"' in text
    assert dict(pairs)["PAPERBOY_SECRET_KEY"] == ""


def test_every_relay_of_the_pages_is_an_address_that_can_be_parsed(tmp_path: Path) -> None:
    pages = [
        (DEPLOY / name).read_text() for name in ("relays.md", "paperboy.env", "postfix-main.cf")
    ]
    urls = [url for page in pages for url in re.findall(r"smtps?://[^\s`]+", page)]
    assert len(urls) >= 6
    for url in urls:
        settings = load_settings(
            SOURCE_NAMES, {"PAPERBOY_SMTP_URL": url, "PAPERBOY_DATA_DIR": str(tmp_path)}
        )
        (relay,) = settings.relays
        assert relay.starttls == "required" or relay.host == "127.0.0.1"
