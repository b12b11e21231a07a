"""A connection to one of several relays: whose turn it is, who rests, and what to tell of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiosmtplib

from service.deliveries.domain.states import Phase, SendOutcome
from service.platform.logs import get_logger
from service.platform.one_line import plain_words
from service.platform.settings.relays import SmtpRelay
from service.sending.domain.relay_health import (
    REST_SECONDS,
    RelayHealth,
    after_failure,
    after_success,
    next_relay,
    wakes_at,
)
from service.sending.domain.smtp_replies import ReplyKind, read_reply

# How long a relay is waited for while another could take its place.
IMPATIENT_SECONDS = 60.0

log = get_logger(__name__)


class RelaysResting(aiosmtplib.SMTPException):
    """Every relay failed lately and is left alone for a while."""


@dataclass(frozen=True, slots=True)
class RelayError:
    """A relay that refuses us for good, or has not answered for minutes: for the operator."""

    relay: str
    words: str


class RelayPool:
    """The relays of a process and how they fare. `watermark` names a relay by its place in the list."""

    def __init__(
        self, relays: Sequence[SmtpRelay], rest_seconds: tuple[float, ...] = REST_SECONDS
    ) -> None:
        self._relays = tuple(relays)
        self._rest_seconds = rest_seconds
        self._healths = [RelayHealth(relay.weight) for relay in self._relays]
        # Relays that offered TLS once. One that does not any more is another one, or somebody
        # stands between: it gets neither mail nor password.
        self._secured: set[int] = set()
        self._troubles: list[RelayError] = []

    @property
    def is_unavailable(self) -> bool:
        """Whether all relays rest: nothing can be sent now."""
        return wakes_at(self._healths) > time.monotonic()

    def name(self, watermark: int) -> str:
        return self._relays[watermark].name

    def is_resting(self, watermark: int) -> bool:
        return not self._healths[watermark].is_awake(time.monotonic())

    def pop_relay_errors(self) -> list[RelayError]:
        troubles, self._troubles = self._troubles, []
        return troubles

    async def connect(self, busy: frozenset[int], seconds: float) -> tuple[aiosmtplib.SMTP, int]:
        """A connection to the relay whose turn it is, or to the next that takes one.

        `seconds` is how long each step of it may take, less where another relay is at hand.
        A relay in `busy` has connections of ours that work: it only wants no more of them. Raises
        the last relay's error, `RelaysResting` where none could be asked.
        """
        tried: set[int] = set()
        patience = min(seconds, IMPATIENT_SECONDS) if len(self._relays) > 1 else seconds
        failure: Exception = RelaysResting("all relays rest after failures")
        while True:
            watermark, self._healths = next_relay(self._healths, time.monotonic(), frozenset(tried))
            if watermark is None:
                raise failure
            try:
                return await self._open(watermark, patience), watermark
            except (aiosmtplib.SMTPException, OSError) as error:
                tried.add(watermark)
                failure = error
                if watermark not in busy:
                    self._fail(watermark, getattr(error, "code", 0) or 0, words_of(error))

    def hear(self, watermark: int, outcome: SendOutcome) -> None:
        """Learn from what a relay said of a message: at MAIL it speaks of us, not of the reader."""
        if outcome.phase is Phase.REPLIED:
            if self._healths[watermark].failure_count:
                self._healths[watermark] = after_success(self._healths[watermark])
        elif _is_ours(outcome):
            self._fail(watermark, outcome.code, outcome.reply)

    def _fail(self, watermark: int, code: int, words: str) -> None:
        before, name = self._healths[watermark], self._relays[watermark].name
        self._healths[watermark] = after = after_failure(
            before, time.monotonic(), self._rest_seconds
        )
        if after == before:
            return
        log.warning("relay.resting", relay=name, failures=after.failure_count, reason=words)
        if code >= 500 or after.failure_count == len(self._rest_seconds):
            self._troubles.append(RelayError(name, words))

    async def _open(self, watermark: int, seconds: float) -> aiosmtplib.SMTP:
        needs_tls = watermark in self._secured
        client = await _open_relay(self._relays[watermark], seconds, needs_tls=needs_tls)
        wire = client.protocol.transport if client.protocol is not None else None
        if wire is not None and wire.get_extra_info("sslcontext") is not None:
            self._secured.add(watermark)
        return client


def _is_ours(outcome: SendOutcome) -> bool:
    is_refused = outcome.phase is Phase.MAIL and outcome.code >= 400
    return is_refused and read_reply(outcome) is ReplyKind.RELAY


async def _open_relay(relay: SmtpRelay, seconds: float, *, needs_tls: bool) -> aiosmtplib.SMTP:
    """A connection that is ready for its first MAIL. With `needs_tls` STARTTLS must succeed."""
    # None lets aiosmtplib upgrade where the server offers it; True fails rather than go on in the
    # clear.
    start_tls = {"required": True, "off": False, "auto": None}[relay.starttls]
    client = aiosmtplib.SMTP(
        hostname=relay.host,
        port=relay.port,
        username=relay.username or None,
        password=relay.password or None,
        use_tls=relay.use_tls,
        start_tls=True if start_tls is None and needs_tls else start_tls,
        timeout=seconds,
    )
    await client.connect()
    if client.is_ehlo_or_helo_needed:
        try:
            await client.ehlo()
        except aiosmtplib.SMTPHeloError:
            await client.helo()
    return client


def words_of(error: Exception) -> str:
    """An error in one line, with its name."""
    return f"{type(error).__name__}: {plain_words(str(error))}".rstrip(": ")
