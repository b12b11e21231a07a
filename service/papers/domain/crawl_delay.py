"""Manners towards hosts: gaps, back-off and closed gates, the pure part of the shared rate limiter.

arXiv's terms of use: at most one request every three seconds and one connection at a time, counted
over all its hosts and all machines of ours; its robots.txt asks for 15 seconds at `arxiv.org`. In
practice 406, 429 and 503 all mean "later", with or without `Retry-After`.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

ARXIV: Final = "arxiv"
GAP: Final = timedelta(seconds=3)
# The `Crawl-delay` of https://arxiv.org/robots.txt.
LISTING_GAP: Final = timedelta(seconds=15)

# Without a Retry-After: 10 minutes, then doubling, two hours at the most, so that a host that is
# back before an edition's deadline is asked before it.
FIRST_BACK_OFF: Final = timedelta(minutes=10)
LONGEST_BACK_OFF: Final = timedelta(hours=2)
# A Retry-After is kept to the second. One beyond a day is an error, or means "never".
LONGEST_RETRY_AFTER: Final = timedelta(days=1)
# After a 403: a day, then doubling, a fortnight at the most.
FIRST_CLOSING: Final = timedelta(days=1)
LONGEST_CLOSING: Final = timedelta(days=14)

_PORTS: Final = {"http": 80, "https": 443}


class RateLimited(Exception):
    """No request to the host is allowed for another `wait_seconds`; `reason` closed its gate."""

    def __init__(self, name: str, wait_seconds: float, reason: str = "") -> None:
        after = f", since it answered {reason}" if reason else ""
        super().__init__(
            f"no request to {name} is allowed for another {_span(wait_seconds)}{after}"
        )
        self.wait_seconds = wait_seconds


class Reply(StrEnum):
    """What an answer's status means for the next requests."""

    WELCOME = "welcome"
    FORBIDDEN = "forbidden"
    # Counted over all hosts of a group.
    TOO_MANY = "too many"
    BUSY = "busy"
    FAULTY = "faulty"


@dataclass(frozen=True, slots=True)
class HostRule:
    """What we owe a host: `host` is its gate; hosts of a `group` share one connection and a gap."""

    host: str
    gap: timedelta = timedelta(0)
    group: str = ""
    group_gap: timedelta = timedelta(0)

    @property
    def gaps(self) -> dict[str, timedelta]:
        """The gates that a request passes, with the gap before the next one."""
        return {self.host: self.gap} | ({self.group: self.group_gap} if self.group else {})

    def gate_of(self, reply: Reply) -> str:
        """Return the gate that a refusal closes."""
        return self.group if self.group and reply is Reply.TOO_MANY else self.host


@dataclass(frozen=True, slots=True)
class Refusals:
    """A gate's refusals in a row: `failure_count` asked us to come later, `forbidden_count` were 403."""

    failure_count: int = 0
    forbidden_count: int = 0

    def add(self, reply: Reply) -> "Refusals":
        if reply is Reply.FORBIDDEN:
            return Refusals(self.failure_count, self.forbidden_count + 1)
        return Refusals(self.failure_count + 1, self.forbidden_count)


def rule_of(url: str) -> HostRule | None:
    """Return the rule of a URL's host (with its port, where that is unusual); None without a host."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return None
    if not host:
        return None
    if is_arxiv_host(url):
        gap = LISTING_GAP if host in {"arxiv.org", "www.arxiv.org"} else GAP
        return HostRule(host.removeprefix("www."), gap, ARXIV, GAP)
    is_usual = port in {None, _PORTS.get(parts.scheme)}
    return HostRule(host if is_usual else f"{host}:{port}")


def is_arxiv_host(url: str) -> bool:
    """Return whether arXiv's limit applies: to arxiv.org and every host below it."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return host == "arxiv.org" or host.endswith(".arxiv.org")


def read_status(status: int, retry_after_seconds: float | None) -> Reply:
    """Return what a status means for the next requests to the host."""
    if status == 403:
        return Reply.FORBIDDEN
    if status in {406, 429}:
        return Reply.TOO_MANY
    if status in {408, 425, 503} or (status >= 500 and retry_after_seconds is not None):
        return Reply.BUSY
    return Reply.FAULTY if status >= 500 else Reply.WELCOME


def closing_of(reply: Reply, counted: Refusals, retry_after_seconds: float | None) -> timedelta:
    """Return how long a refusal closes its gate; `counted` has the refusals in a row with it."""
    named = timedelta(seconds=min(retry_after_seconds or 0, LONGEST_CLOSING.total_seconds()))
    if reply is Reply.FORBIDDEN:
        return min(LONGEST_CLOSING, max(_doubled(FIRST_CLOSING, counted.forbidden_count), named))
    if retry_after_seconds is not None:
        return min(LONGEST_RETRY_AFTER, named)
    return min(LONGEST_BACK_OFF, _doubled(FIRST_BACK_OFF, counted.failure_count))


def _doubled(first: timedelta, count: int) -> timedelta:
    """Return a span that doubles from the second time on."""
    return first * (1 << min(max(count - 1, 0), 8))


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{seconds:.0f} s"
