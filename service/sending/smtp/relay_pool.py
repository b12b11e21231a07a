"""Connect to one of several relays, by weight and health, and collect errors for the operator."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiosmtplib

from service.deliveries.domain.states import Phase, SendOutcome
from service.platform.logs import get_logger
from service.platform.one_line import normalise_line
from service.platform.settings.relays import SmtpRelay
from service.sending.domain.relay_health import (
    REST_SECONDS,
    RelayHealth,
    after_failure,
    after_success,
    next_relay,
    wakes_at,
)
from service.sending.domain.smtp_replies import ReplyKind, classify_reply

# The longest wait for a relay's reply while connecting, where another relay could take over.
IMPATIENT_SECONDS = 60.0

log = get_logger(__name__)


class RelaysResting(aiosmtplib.SMTPException):
    """Every relay failed lately and is in back-off."""


@dataclass(frozen=True, slots=True)
class RelayError:
    """A relay that refuses us for good, or has not answered for minutes: for the operator."""

    relay: str
    reason: str


class RelayPool:
    """The relays of a process and their health. `index` is a relay's position in the list."""

    def __init__(
        self, relays: Sequence[SmtpRelay], rest_seconds: tuple[float, ...] = REST_SECONDS
    ) -> None:
        self._relays = tuple(relays)
        self._rest_seconds = rest_seconds
        self._healths = [RelayHealth(relay.weight) for relay in self._relays]
        # Relays that offered TLS once. If one stops offering it, a downgrade attack is possible, so
        # it gets neither mail nor password.
        self._secured: set[int] = set()
        self._errors: list[RelayError] = []

    @property
    def is_unavailable(self) -> bool:
        """Whether all relays are in back-off, so that nothing can be sent now."""
        return wakes_at(self._healths) > time.monotonic()

    def name(self, index: int) -> str:
        return self._relays[index].name

    def is_resting(self, index: int) -> bool:
        return not self._healths[index].is_awake(time.monotonic())

    def pop_relay_errors(self) -> list[RelayError]:
        errors, self._errors = self._errors, []
        return errors

    async def connect(self, busy: frozenset[int], seconds: float) -> tuple[aiosmtplib.SMTP, int]:
        """Return a connection to the next relay by weight that accepts one, and its index.

        `seconds` is how long each step may take; it is capped where there is another relay. A relay
        in `busy` has working connections of ours, so its refusal of one more is no failure. Raises
        the last relay's error, or `RelaysResting` where all are in back-off.
        """
        tried: set[int] = set()
        timeout = min(seconds, IMPATIENT_SECONDS) if len(self._relays) > 1 else seconds
        failure: Exception = RelaysResting("all relays rest after failures")
        while True:
            index, self._healths = next_relay(self._healths, time.monotonic(), frozenset(tried))
            if index is None:
                raise failure
            try:
                return await self._open(index, timeout), index
            except (aiosmtplib.SMTPException, OSError) as error:
                tried.add(index)
                failure = error
                if index not in busy:
                    self._fail(index, getattr(error, "code", 0) or 0, describe_error(error))

    def record_outcome(self, index: int, outcome: SendOutcome) -> None:
        """Update a relay's health; a refusal at MAIL is about us, not about the subscriber."""
        if outcome.phase is Phase.REPLIED:
            if self._healths[index].failure_count:
                self._healths[index] = after_success(self._healths[index])
        elif _blames_sender(outcome):
            self._fail(index, outcome.code, outcome.reply)

    def _fail(self, index: int, code: int, reason: str) -> None:
        before, name = self._healths[index], self._relays[index].name
        self._healths[index] = after = after_failure(before, time.monotonic(), self._rest_seconds)
        if after == before:
            return
        log.warning("relay.resting", relay=name, failures=after.failure_count, reason=reason)
        if code >= 500 or after.failure_count == len(self._rest_seconds):
            self._errors.append(RelayError(name, reason))

    async def _open(self, index: int, seconds: float) -> aiosmtplib.SMTP:
        needs_tls = index in self._secured
        client = await _open_relay(self._relays[index], seconds, needs_tls=needs_tls)
        wire = client.protocol.transport if client.protocol is not None else None
        if wire is not None and wire.get_extra_info("sslcontext") is not None:
            self._secured.add(index)
        return client


def _blames_sender(outcome: SendOutcome) -> bool:
    is_refused = outcome.phase is Phase.MAIL and outcome.code >= 400
    return is_refused and classify_reply(outcome) is ReplyKind.RELAY


async def _open_relay(relay: SmtpRelay, seconds: float, *, needs_tls: bool) -> aiosmtplib.SMTP:
    """Return a connection ready for its first MAIL. With `needs_tls` STARTTLS must succeed."""
    # None lets aiosmtplib upgrade where the server offers it; True fails rather than continue in
    # plain text.
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


def describe_error(error: Exception) -> str:
    """Return an error's name and message in one line."""
    return f"{type(error).__name__}: {normalise_line(str(error))}".rstrip(": ")
