"""What every source of papers is to the rest: a name, a way to fetch, a way to parse.

Fetching touches the world and returns bytes; parsing is pure. A source never stores anything.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from service.papers.domain.types import ParsedBatch


class SourceUnavailable(Exception):
    """The source gave no usable answer.

    `permanent` means that asking the same again cannot help (an unknown category, a moved
    address); otherwise the caller may come back, not before `retry_after_seconds` where the source
    named a time.
    """

    def __init__(
        self, message: str, permanent: bool = False, retry_after_seconds: float | None = None
    ) -> None:
        # All three go to the base class so that the exception survives pickling.
        super().__init__(message, permanent, retry_after_seconds)
        self.permanent = permanent
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return str(self.args[0])


class SourceUnreadable(Exception):
    """An answer came but is not what the source documents; the message is one line."""


@dataclass(frozen=True, slots=True)
class FetchState:
    """What an earlier answer left behind so that an unchanged one need not travel again."""

    etag: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer. `payload` is None exactly where the source said that nothing changed."""

    payload: bytes | None
    etag: str
    not_modified: bool
    url: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a source says it announced on a date: papers new or cross-listed in a category."""

    on: date
    first_count: int


class RateLimiter(Protocol):
    """Politeness in front of hosts that ask for it; other hosts pass at once."""

    def hold(self, url: str) -> AbstractContextManager[None]:
        """Be the only one who talks to the host. Raises GateClosed."""
        ...

    def wait(self, url: str) -> None:
        """Sleep until the next request may start. Raises GateClosed rather than sleep long."""
        ...

    def report(self, url: str, *, is_refused: bool, retry_after_seconds: float | None) -> None:
        """Tell how the host took it."""
        ...


class Source(Protocol):
    """A provider of papers.

    `gates_editions`: an edition waits for this source's batch; the others only add signals.
    `keeps_changing`: a past day's list still gathers votes, summaries or revisions.
    `tells_versions`: it names each version of a paper; with others a repeated paper is a fault.
    """

    @property
    def name(self) -> str: ...

    @property
    def gates_editions(self) -> bool: ...

    @property
    def keeps_changing(self) -> bool: ...

    @property
    def tells_versions(self) -> bool: ...

    def fetch(self, category: str, on: date | None, state: FetchState) -> Fetched:
        """Ask for one category's announcements, of one day where the source keeps days.

        Raises SourceUnavailable.
        """
        ...

    def expect(self, category: str) -> Expectation | None:
        """What the source says elsewhere that it announced; None where it cannot be asked.

        Raises SourceUnavailable and SourceUnreadable.
        """
        ...

    def parse(self, payload: bytes) -> ParsedBatch:
        """Read what `fetch` brought, repeats included.

        Raises SourceUnreadable and then returns nothing partial.
        """
        ...


class SourceSettings(Protocol):
    """The part of the settings that sources need. `journals` are (name, address) of feeds."""

    @property
    def sources(self) -> tuple[str, ...]: ...
    @property
    def arxiv_feed_url(self) -> str: ...
    @property
    def arxiv_list_url(self) -> str: ...
    @property
    def arxiv_oai_url(self) -> str: ...
    @property
    def arxiv_api_url(self) -> str: ...
    @property
    def huggingface_url(self) -> str: ...
    @property
    def biorxiv_url(self) -> str: ...
    @property
    def journals(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def base_url(self) -> str: ...
    @property
    def contact(self) -> str: ...
    @property
    def http_timeout_seconds(self) -> float: ...
