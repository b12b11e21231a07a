"""The protocol of sources: a name, a way to fetch, a way to parse; and their errors.

Fetching does HTTP and returns bytes; parsing is pure. A source never stores anything.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from service.papers.domain.types import ParsedBatch


class SourceUnavailable(Exception):
    """The source gave no usable answer.

    `permanent` means that a retry cannot help (an unknown category, a moved address); otherwise the
    caller may retry, after `retry_after_seconds` if the source named a time.
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


class SourceClosed(SourceUnavailable):
    """No request was sent: the gate of the host is closed, or its turn did not come in time."""


class SourceUnreadable(Exception):
    """An answer came but is not what the source documents; the message is one line."""


@dataclass(frozen=True, slots=True)
class FetchState:
    """The ETag of an earlier answer, for a conditional request."""

    etag: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer. `payload` is None exactly if the source said that nothing changed.

    `next_url` is the next page that the answer names (`Link: rel=next`, RFC 8288), or "".
    """

    payload: bytes | None
    etag: str
    not_modified: bool
    url: str
    next_url: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """How many papers a source says it announced in a category on a date, new or cross-listed.

    `new_ids` are the identifiers of the new papers, none where the source does not name all.
    """

    on: date
    first_count: int
    new_ids: tuple[str, ...] = ()


class RateLimiter(Protocol):
    """Keeps the gaps that hosts ask for, and closes the gate of a host that refuses us."""

    def hold(self, url: str) -> AbstractContextManager[None]:
        """Hold the one connection to the host's group, if it has one. Raises RateLimited."""
        ...

    def wait(self, url: str) -> None:
        """Sleep until the next request may start. Raises RateLimited if that takes too long."""
        ...

    def report(self, url: str, status: int, retry_after_seconds: float | None) -> None:
        """Record the host's answer: a refusal closes its gate."""
        ...


class Source(Protocol):
    """A provider of papers.

    `gates_editions`: an edition waits for this source's batch; the others only add signals.
    `keeps_changing`: a past day's list still gathers votes, summaries or revisions.
    `has_versions`: it lists each version of a paper; in other sources a repeat is a fault.
    """

    @property
    def name(self) -> str: ...

    @property
    def gates_editions(self) -> bool: ...

    @property
    def keeps_changing(self) -> bool: ...

    @property
    def has_versions(self) -> bool: ...

    def fetch(self, category: str, on: date | None, state: FetchState) -> Fetched:
        """Fetch one category's announcements, of one day if the source keeps past days.

        Raises SourceUnavailable.
        """
        ...

    def expect(self, category: str) -> Expectation | None:
        """Return the count that the source states elsewhere, or None if it states none.

        Raises SourceUnavailable and SourceUnreadable.
        """
        ...

    def parse(self, payload: bytes) -> ParsedBatch:
        """Parse the payload of `fetch`, repeats included. Raises SourceUnreadable."""
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
