"""Polite HTTP: User-Agent, timeouts, size limits, conditional requests, and the rate limiter."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin

import httpx2

from service.papers.domain.crawl_delay import RateLimited, Reply, is_arxiv_host, read_status
from service.papers.sources import base
from service.platform import linear_regex, outgoing_http
from service.platform.one_line import normalise_line
from service.platform.release import release

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
# Limits the whole answer, as a server that sends a byte per second never meets the read timeout.
WHOLE_ANSWER_TIMEOUTS: Final = 6
# Enough of an error's body to hold its message.
_ERROR_BODY_BYTES: Final = 4096
_ERROR_MESSAGE = linear_regex.compile(r"<(?:description|subtitle|summary)[^>]*>([^<]{3,})<", "s")
_TAG = linear_regex.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Caller:
    """The installation as providers see it: they want a web address and a contact."""

    base_url: str = ""
    contact: str = ""
    timeout_seconds: float = 20.0

    @property
    def user_agent(self) -> str:
        """Return `Paperboy/0.2.0 (+https://…; someone@example.org)`."""
        about = "; ".join(
            part for part in (f"+{self.base_url}" if self.base_url else "", self.contact) if part
        )
        agent = f"Paperboy/{release()}" + (f" ({about})" if about else "")
        # A header is ASCII on one line; an operator's contact may be neither.
        return "".join(c for c in agent if c.isascii() and c.isprintable())


class Fetcher:
    """An HTTP client shared by the sources of a process.

    Each fetch opens its own connection: they are seconds apart, and none has to be closed later.
    """

    def __init__(
        self,
        caller: Caller,
        gate: base.RateLimiter,
        *,
        max_bytes: int = MAX_BODY_BYTES,
        timeouts: int = WHOLE_ANSWER_TIMEOUTS,
    ) -> None:
        """A whole answer may take `timeouts` times the caller's timeout for a single read."""
        self._caller = caller
        self._gate = gate
        self._max_bytes = max_bytes
        self.longest_seconds = caller.timeout_seconds * timeouts
        # Loading the certificates costs more than the rest of a client, so it is done once.
        self._tls = httpx2.create_ssl_context()

    def fetch(
        self,
        url: str,
        *,
        accept: str,
        state: base.FetchState,
        params: Mapping[str, str] | None = None,
    ) -> base.Fetched:
        """Send one GET, conditional if `state` holds an ETag, and return the answer; no retries.

        Raises SourceUnavailable, SourceClosed where no request may be sent now, and SourceUnreadable
        for an answer too large or badly compressed. No message shows more of the URL than its host.
        """
        site = outgoing_http.masked_url(url)
        wanted = outgoing_http.Request(
            url,
            self._caller.timeout_seconds,
            self.longest_seconds,
            params=params,
            headers={"User-Agent": self._caller.user_agent, "Accept": accept}
            | ({"If-None-Match": state.etag} if state.etag else {}),
            tls=self._tls,
            is_same_site=_are_of_arxiv,
            # The rate limit applies to every redirect, too.
            before=self._gate.wait,
        )
        try:
            with self._gate.hold(url), outgoing_http.open_answer(wanted) as answer:
                return self._read(answer, state)
        except RateLimited as error:
            raise base.SourceClosed(f"{site}: {error}", False, error.wait_seconds) from error
        except outgoing_http.BodyRefused as error:
            raise base.SourceUnreadable(f"{site}: {error}") from error
        except (outgoing_http.NotAllowed, httpx2.TooManyRedirects) as error:
            raise base.SourceUnavailable(f"{site}: {error}", permanent=True) from error
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            message = f"{site}: not an address we can ask"
            # The cause quotes the address.
            raise base.SourceUnavailable(message, permanent=True) from None
        except httpx2.HTTPError as error:
            reason = outgoing_http.without_keys(_one_line(str(error)), url) or type(error).__name__
            raise base.SourceUnavailable(f"{site}: {reason}") from error

    def _read(self, answer: outgoing_http.Answer, state: base.FetchState) -> base.Fetched:
        response = answer.response
        url = str(response.url)
        wait = retry_after_seconds(response.headers.get("Retry-After"), datetime.now(UTC))
        self._gate.report(url, response.status_code, wait)
        if response.status_code == 304:
            return base.Fetched(None, response.headers.get("ETag", state.etag), True, url)
        if response.status_code != 200:
            raise _refusal(response, _error_body(answer))
        body = answer.read(self._max_bytes)
        next_url = response.links.get("next", {}).get("url", "")
        return base.Fetched(
            body,
            response.headers.get("ETag", ""),
            False,
            url,
            next_url=urljoin(url, next_url) if next_url else "",
        )


def _error_body(answer: outgoing_http.Answer) -> bytes:
    try:
        return answer.read(_ERROR_BODY_BYTES, is_cut=True)
    except outgoing_http.BodyRefused:
        # The status says enough.
        return b""


def _are_of_arxiv(host: str, other: str) -> bool:
    return is_arxiv_host(f"https://{host}") and is_arxiv_host(f"https://{other}")


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Return a `Retry-After` header as seconds from `now` (RFC 9110, 10.2.3: seconds or a date)."""
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


def _refusal(response: httpx2.Response, body: bytes) -> base.SourceUnavailable:
    status = response.status_code
    url = str(response.url)
    reason = outgoing_http.without_keys(_error_message(body.decode("utf-8", "replace")), url)
    message = f"{outgoing_http.masked_url(url)}: HTTP {status}" + (f", {reason}" if reason else "")
    is_temporary = read_status(status, None) not in {Reply.WELCOME, Reply.FORBIDDEN}
    wait = retry_after_seconds(response.headers.get("Retry-After"), datetime.now(UTC))
    return base.SourceUnavailable(message, not is_temporary, wait if is_temporary else None)


def _error_message(body: str) -> str:
    """Return the message of an error's body: an error feed's description, or its first words."""
    found = _ERROR_MESSAGE.search(body)
    return _one_line(found[1] if found else _TAG.sub(" ", body))


def _one_line(text: str) -> str:
    line = normalise_line(text)
    return line if len(line) <= 160 else f"{line[:157]}..."
