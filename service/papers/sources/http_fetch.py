"""Polite HTTP: who we are, what we accept, how long, how much, and never the same twice.

arXiv's terms of use allow its feeds one request every three seconds, from all machines together.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from urllib.parse import urlsplit

import httpx

from service.papers.domain.crawl_delay import GateClosed
from service.papers.sources.base import (
    Fetched,
    FetchState,
    RateLimiter,
    SourceUnavailable,
    SourceUnreadable,
)
from service.platform.one_line import plain_words

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
_MAX_REDIRECTS: Final = 5
# A server that sends one byte a second never trips a read timeout; this does.
WHOLE_ANSWER_TIMEOUTS: Final = 6
# Enough of an error's body to hold its one telling sentence.
_ERROR_BODY_BYTES: Final = 4096
# 406 is how arXiv turns away clients it finds too eager, together with 429 and 503.
_COME_BACK: Final = frozenset({406, 408, 425, 429, 503})
_TELLING = re.compile(r"<(?:description|subtitle|summary)[^>]*>([^<]{3,})<", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: providers want an address to look at and one to write to."""

    base_url: str = ""
    contact: str = ""
    timeout_seconds: float = 20.0

    @property
    def user_agent(self) -> str:
        """`Paperboy/0.1.0 (+https://…; someone@example.org)`."""
        about = "; ".join(
            part for part in (f"+{self.base_url}" if self.base_url else "", self.contact) if part
        )
        agent = f"Paperboy/{_version()}" + (f" ({about})" if about else "")
        # A header is ASCII on one line; an operator's name may be neither.
        return "".join(c for c in agent if c.isascii() and c.isprintable())


def gate_name(url: str) -> str:
    """The name of the gate before an address: all of arXiv is one, other hosts have none."""
    return "arxiv" if is_arxiv_host(url) else ""


def is_arxiv_host(url: str) -> bool:
    """Whether arXiv's limit applies: arxiv.org and every host below it."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return host == "arxiv.org" or host.endswith(".arxiv.org")


class Fetcher:
    """One way to ask, shared by the sources of a process.

    Each fetch has a connection of its own: seconds lie between two, and nobody need close it.
    """

    def __init__(
        self,
        caller: Caller,
        gate: RateLimiter,
        *,
        max_bytes: int = MAX_BODY_BYTES,
        timeouts: int = WHOLE_ANSWER_TIMEOUTS,
    ) -> None:
        """A whole answer may take `timeouts` times as long as the caller waits for a piece of it."""
        self._caller = caller
        self._gate = gate
        self._max_bytes = max_bytes
        self._longest_seconds = caller.timeout_seconds * timeouts
        # Reading the certificates costs more than the rest of a client.
        self._tls = httpx.create_ssl_context()

    def _client(self) -> httpx.Client:
        return httpx.Client(
            headers={"User-Agent": self._caller.user_agent, "Accept-Encoding": "gzip, deflate"},
            timeout=self._caller.timeout_seconds,
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
            verify=self._tls,
            # As a request hook the gate is passed on every hop of a redirect, too.
            event_hooks={"request": [lambda request: self._gate.wait(str(request.url))]},
        )

    def fetch(
        self, url: str, *, accept: str, state: FetchState, params: Mapping[str, str] | None = None
    ) -> Fetched:
        """GET once, conditionally where `state` holds an ETag. There is no retry in here.

        Raises SourceUnavailable, or SourceUnreadable for an answer too large or badly compressed.
        """
        headers = {"Accept": accept} | ({"If-None-Match": state.etag} if state.etag else {})
        try:
            with (
                self._gate.hold(url),
                self._client() as client,
                client.stream("GET", url, params=params, headers=headers) as response,
            ):
                return self._read(response, state)
        except GateClosed as error:
            raise SourceUnavailable(f"{url}: {error}", False, error.wait_seconds) from error
        except httpx.DecodingError as error:
            raise SourceUnreadable(f"{url}: the answer is badly compressed") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise SourceUnavailable(f"{url}: not an address we can ask", permanent=True) from error
        except httpx.TooManyRedirects as error:
            raise SourceUnavailable(f"{url}: redirected in circles", permanent=True) from error
        except httpx.HTTPError as error:
            raise SourceUnavailable(
                f"{url}: {_one_line(str(error)) or type(error).__name__}"
            ) from error

    def _read(self, response: httpx.Response, state: FetchState) -> Fetched:
        url = str(response.url)
        is_refused = response.status_code in _COME_BACK
        asked = retry_after_seconds(response.headers.get("Retry-After"), datetime.now(UTC))
        self._gate.report(url, is_refused=is_refused, retry_after_seconds=asked)
        if response.status_code == 304:
            return Fetched(None, response.headers.get("ETag", state.etag), True, url)
        if response.status_code != 200:
            raise _refusal(response, self._body(response, _ERROR_BODY_BYTES, is_cut=True))
        body = self._body(response, self._max_bytes, is_cut=False)
        return Fetched(body, response.headers.get("ETag", ""), False, url)

    def _body(self, response: httpx.Response, limit: int, *, is_cut: bool) -> bytes:
        """At most `limit` bytes after decompression; more is cut off or an error."""
        deadline = time.monotonic() + self._longest_seconds
        body = bytearray()
        for chunk in response.iter_bytes(65_536):
            body += chunk
            if len(body) > limit:
                if is_cut:
                    return bytes(body[:limit])
                raise SourceUnreadable(f"{response.url}: the answer is larger than {limit} bytes")
            if time.monotonic() > deadline:
                raise SourceUnavailable(f"{response.url}: the answer did not end in time")
        return bytes(body)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """A `Retry-After` header as seconds from `now` (RFC 9110, 10.2.3: seconds or a date)."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date whose zone is written "-0000" comes back naive, and it means UTC.
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _refusal(response: httpx.Response, body: bytes) -> SourceUnavailable:
    status = response.status_code
    reason = _telling_sentence(body.decode("utf-8", "replace"))
    message = f"{response.url}: HTTP {status}" + (f", {reason}" if reason else "")
    is_temporary = status in _COME_BACK or status >= 500
    wait = retry_after_seconds(response.headers.get("Retry-After"), datetime.now(UTC))
    return SourceUnavailable(message, not is_temporary, wait if is_temporary else None)


def _telling_sentence(body: str) -> str:
    """What an error's body says to a person: an error feed's description, or its first words."""
    found = _TELLING.search(body)
    return _one_line(found[1] if found else _TAG.sub(" ", body))


def _one_line(text: str) -> str:
    line = plain_words(text)
    return line if len(line) <= 160 else f"{line[:157]}..."


def _version(distribution: str = "paperboy") -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        # Run from a checkout that nobody installed.
        return "dev"
