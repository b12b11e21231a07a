"""The besieged installation: `paperboy up` with its own servers, and what stands around it on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.smtp.smtp_sink import free_port

from service.cli.processes import await_site
from service.papers.domain.announcement_days import announcement_date
from service.sample.papers import nearest_weekday

ROOT = Path(__file__).resolve().parents[2]
ADMIN_PASSWORD = "larch-orbit-vellum-quince-93"
# Every so many of the subscribers has left their address; the relay returns their mail.
GONE_EVERY = 100
TOPICS = (
    "learning",
    "cat:cs.CL",
    "cat:cs.LG reasoning",
    '"diffusion"',
    "cat:cs.CV",
    "memory OR forecasting",
)
START_SECONDS = 90.0


@dataclass
class Stronghold:
    """`home` has the data directory, the bounces' Maildir, and what the relay wrote down."""

    home: Path
    url: str
    date: str
    environ: dict[str, str]
    up: "subprocess.Popen[bytes]"
    published_at: float = 0.0

    def command(self, *arguments: str, fails: bool = False) -> Any:
        """Return the JSON of a `paperboy` command. Raises unless it succeeds or may fail."""
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *arguments, "--json"],
            cwd=ROOT, env=self.environ, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if done.returncode and not fails:
            raise RuntimeError(f"paperboy {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def publish(self) -> None:
        """Publish the edition as an operator does."""
        self.published_at = time.time()
        self.command("publish", "--date", self.date, "--force", fails=True)

    def check(self) -> None:
        """Raise if `paperboy up` has ended."""
        if self.up.poll() is not None:
            raise RuntimeError(f"paperboy up ended: {(self.home / 'up.log').read_text()[-3000:]}")

    def sent_to(self) -> list[str]:
        return [line.split()[0] for line in self._lines("sent")]

    def strangers_mailed(self) -> int:
        return len(self._lines("strangers"))

    def edition_seconds(self) -> float:
        """Return the seconds from the publication to the last digest."""
        return (
            max((float(line.split()[1]) for line in self._lines("sent")), default=0)
            - self.published_at
        )

    def _lines(self, name: str) -> list[str]:
        path = self.home / name
        return path.read_text().splitlines() if path.exists() else []

    def await_edition(self, count: int, seconds: float) -> None:
        self._await(lambda: len(set(self.sent_to())) >= count and self.is_balanced(), seconds)

    def await_bounces(self, seconds: float) -> None:
        self._await(lambda: self.bounces_recorded() >= self.bounces_due(), seconds)

    def _await(self, is_true: Any, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not is_true():
            self.check()
            time.sleep(2)

    def is_balanced(self) -> bool:
        """Whether the edition's balance closes, with nothing left to send."""
        found = self.command("status", "--date", self.date, fails=True)
        editions = [one for one in found["editions"] if one["cadence"] == "daily"]
        return bool(editions) and all(
            one["closes"] and not one["states"].get("queued") and not one["states"].get("sending")
            for one in editions
        )

    def bounces_due(self) -> int:
        return len({name for name in self.sent_to() if name.startswith("gone")})

    def bounces_recorded(self) -> int:
        """How many of those who gave up their address are not mailed any more."""
        everybody = self.command("subscribers", "list")
        return sum(
            one["state"] == "suppressed" for one in everybody if one["email"].startswith("gone")
        )


@contextmanager
def open_stronghold(home: Path, subscribers: int) -> Iterator[Stronghold]:
    """Start sources, relay and Paperboy, with papers and subscribers; end them afterwards."""
    for folder in ("mails", "bounces/tmp", "bounces/new", "bounces/cur"):
        (home / folder).mkdir(parents=True)
    (home / "bounces").chmod(0o777)
    for folder in ("mails", "bounces/tmp", "bounces/new", "bounces/cur"):
        (home / folder).chmod(0o777)
    on = str(nearest_weekday(announcement_date(datetime.now(UTC))))
    with ExitStack() as stack:
        sample = stack.enter_context(_printing_port("-m", "service.sample", "--date", on))
        relay = stack.enter_context(_printing_port("-m", "siege.relay", str(home)))
        hostile = stack.enter_context(_printing_port("-m", "siege.hostile_sources"))
        port = free_port()
        environ = _environ(home, port, sample, relay, hostile)
        up = stack.enter_context(_running_up(home, environ))
        hold = Stronghold(home, f"http://127.0.0.1:{port}", on, environ, up)
        if not await_site(hold.url, hold.check, START_SECONDS):
            raise RuntimeError(f"the site did not answer: {(home / 'up.log').read_text()[-3000:]}")
        hold.command("ingest", "arxiv", "huggingface", "--date", on)
        hold.command(
            "subscribers", "import", str(_write_subscribers(home, subscribers)), "--confirmed"
        )
        yield hold


def _environ(home: Path, port: int, sample: str, relay: str, hostile: str) -> dict[str, str]:
    """Return the environment of the service: the defaults, but for what it must talk to."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    journals = [f"{kind}={hostile}/{kind}" for kind in ("drip", "bomb", "tags", "endless")]
    own = {
        "DATA_DIR": str(home / "data"),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "SMTP_URL": f"smtp://127.0.0.1:{relay.rpartition(':')[2]}?starttls=off",
        "MAIL_FROM": "Siege <digest@paperboy.example>",
        "BOUNCE_MAILBOX": f"maildir:{home / 'bounces'}",
        "HOOKS": "generic=a-key-that-only-the-siege-knows",
        "ADMIN_PASSWORD": ADMIN_PASSWORD,
        "SOURCES": "arxiv,huggingface,biorxiv",
        "ARXIV_FEED_URL": sample,
        "ARXIV_LIST_URL": f"{sample}/list",
        "ARXIV_OAI_URL": f"{sample}/oai",
        "ARXIV_API_URL": f"{sample}/api/query",
        "HUGGINGFACE_URL": sample,
        "BIORXIV_URL": f"{hostile}/drip",
        "JOURNAL_FEEDS": " ".join(journals),
        "CONTACT": "siege@paperboy.example",
        "ENV_FILE": os.devnull,
    }
    return inherited | {f"PAPERBOY_{name}": value for name, value in own.items()}


@contextmanager
def _running_up(home: Path, environ: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    with (home / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "service.cli", "up"],
            cwd=ROOT, env=environ, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield up
        finally:
            up.send_signal(signal.SIGINT)
            try:
                up.wait(30)
            except subprocess.TimeoutExpired:
                # The second one ends it at once, and its children with it.
                up.send_signal(signal.SIGINT)
                up.wait(30)


@contextmanager
def _printing_port(*words: str) -> Iterator[str]:
    """Run a Python program that prints its address, or its port, as its first line."""
    process = subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        line = process.stdout.readline().split()[-1]
        yield f"http://127.0.0.1:{line}" if line.isdigit() else line.removesuffix("/rss/cs.CL")
    finally:
        process.kill()
        process.wait()


def _write_subscribers(home: Path, count: int) -> Path:
    path = home / "subscribers.csv"
    rows = (
        f"{'gone' if number % GONE_EVERY == 0 else 'subscriber'}{number}@example.org,"
        f'"{TOPICS[number % len(TOPICS)].replace(chr(34), chr(34) * 2)}"'
        for number in range(count)
    )
    path.write_text("email,topic\n" + "\n".join(rows) + "\n")
    return path
