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
    RelayHealth,
    after_failure,
    after_success,
    next_relay,
)
from service.sending.domain.smtp_replies import ReplyKind, classify_reply
from service.sending.smtp.limits import SMTP_LIMITS, SmtpLimits

# The longest wait for each reply of a relay while connecting, when no message can be lost.
IMPATIENT_SECONDS = 60.0

log = get_logger(__name__)


class RelaysResting(aiosmtplib.SMTPException):
    """Every relay failed lately and is in back-off."""


@dataclass(frozen=True, slots=True)
class RelayError:
    """A relay that refuses us for good, has not answered for minutes, or at which too many messages
    hang: for the operator.
    """

    relay: str
    reason: str
    hanging: int = 0


class RelayPool:
    """The relays of a process and their health. `index` is a relay's position in the list."""

    def __init__(self, relays: Sequence[SmtpRelay], limits: SmtpLimits = SMTP_LIMITS) -> None:
        self._relays = tuple(relays)
        self._limits = limits
        self._healths = [RelayHealth(relay.weight) for relay in self._relays]
        # By relay: how many final replies it gave, how many messages hang there, and whether it has
        # answered nothing since the last of these began to.
        self._reply_counts = [0] * len(self._relays)
        self._hanging_counts = [0] * len(self._relays)
        self._silent: set[int] = set()
        # Relays that offered TLS once. If one stops offering it, a downgrade attack is possible, so
        # it gets neither mail nor password.
        self._secured: set[int] = set()
        self._errors: list[RelayError] = []

    @property
    def is_unavailable(self) -> bool:
        """Whether all relays are in back-off or paused, so that nothing can be sent now."""
        return all(map(self.is_resting, range(len(self._relays))))

    def name(self, index: int) -> str:
        return self._relays[index].name

    def is_resting(self, index: int) -> bool:
        """Return whether a relay gets no new message: it is in back-off, or too many hang there."""
        return self._is_paused(index) or not self._healths[index].is_awake(time.monotonic())

    def _is_paused(self, index: int) -> bool:
        return self._hanging_counts[index] > self._limits.most_hanging

    def reply_count(self, index: int) -> int:
        return self._reply_counts[index]

    def begin_hanging(self, index: int) -> None:
        """Count a message without a reply; with one too many the relay is paused."""
        was_paused = self._is_paused(index)
        self._hanging_counts[index] += 1
        self._silent.add(index)
        if self._is_paused(index) and not was_paused:
            name, count = self._relays[index].name, self._hanging_counts[index]
            log.warning("relay.paused", relay=name, hanging=count)
            self._errors.append(RelayError(name, "too many messages hang", count))

    def end_hanging(self, index: int) -> None:
        self._hanging_counts[index] -= 1
        if not self._hanging_counts[index]:
            self._silent.discard(index)

    def pop_relay_errors(self) -> list[RelayError]:
        errors, self._errors = self._errors, []
        return errors

    async def connect(self, busy: frozenset[int]) -> tuple[aiosmtplib.SMTP, int]:
        """Return a connection to the next relay by weight that accepts one, and its index.

        A relay in `busy` has working connections of ours, so its refusal of one more is no failure.
        A relay that answers nothing while messages hang there comes last. Raises the last relay's
        error, or `RelaysResting` where all are in back-off or paused.
        """
        tried = {index for index in range(len(self._relays)) if self._is_paused(index)}
        timeout = min(self._limits.command_seconds, IMPATIENT_SECONDS)
        failure: Exception = RelaysResting("all relays rest after failures")
        while True:
            now, others = time.monotonic(), frozenset(tried | self._silent)
            index, self._healths = next_relay(self._healths, now, others)
            if index is None:
                index, self._healths = next_relay(self._healths, now, frozenset(tried))
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
            self._reply_counts[index] += 1
            self._silent.discard(index)
            if self._healths[index].failure_count:
                self._healths[index] = after_success(self._healths[index])
        elif _blames_sender(outcome):
            self._fail(index, outcome.code, outcome.reply)

    def _fail(self, index: int, code: int, reason: str) -> None:
        before, name = self._healths[index], self._relays[index].name
        rests = self._limits.rest_seconds
        self._healths[index] = after = after_failure(before, time.monotonic(), rests)
        if after == before:
            return
        log.warning("relay.resting", relay=name, failures=after.failure_count, reason=reason)
        if code >= 500 or after.failure_count == len(rests):
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
