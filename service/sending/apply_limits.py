"""Each provider at its own pace: what may be claimed for it now, and what its answers change.

A run asks before it sends and tells what it heard. Where no provider ever complained this is one
look at an empty table for each claim.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import Alert, alert_operator
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.claimed_rows import Claim
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.sending.domain.provider_limits import (
    LOOKS_BACK,
    ProviderLimitView,
    is_trouble,
    next_at,
    next_pace,
    take,
)
from service.sending.domain.providers import provider_of
from service.sending.domain.smtp_replies import ReplyKind
from service.sending.store.provider_limits import (
    HeldRows,
    LimitClaim,
    claim_lane,
    delete_pace,
    find_paces,
    find_waiting,
    insert_paces,
    lock_paces,
    park_claimed,
    update_pace,
)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProviderReply:
    """One answer: whose, what it is about, and its words."""

    provider: str
    kind: ReplyKind
    words: str


@dataclass(slots=True)
class LimitUpdater:
    """What a run knows of providers; `paces` as of its last claim or answer."""

    sessions: sessionmaker[Session]
    settings: Settings
    paces: dict[str, ProviderLimitView] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()

    @property
    def held(self) -> frozenset[str]:
        """The providers that take nothing now."""
        return frozenset(name for name, pace in self.paces.items() if pace.is_open)

    def next_lane_at(self, now: datetime) -> datetime | None:
        """When the first provider for which rows wait takes one; None where none wait."""
        return min((next_at(self.paces[name], now) for name in self.waiting), default=None)

    def claim_lanes(
        self, session: Session, claim: LimitClaim, room: int, now: datetime
    ) -> list[Claim]:
        """Up to `room` rows that waited for providers which take some now; looks at all paces anew."""
        self.paces = find_paces(session)
        self.waiting = find_waiting(session) & self.paces.keys() if self.paces else frozenset()
        names = [
            name
            for name, pace in self.paces.items()
            if next_at(pace, now) <= now and (name in self.waiting or pace.is_healthy)
        ]
        claimed: list[Claim] = []
        for pace in (lock_paces(session, names) if names else {}).values():
            claimed += self._claim_lane(session, claim, pace, room - len(claimed), now)
        return claimed

    def _claim_lane(
        self, session: Session, claim: LimitClaim, pace: ProviderLimitView, room: int, now: datetime
    ) -> list[Claim]:
        allowed, _ = take(pace, room, now)
        rows = claim_lane(session, claim, pace.provider, allowed, now) if allowed else []
        if rows:
            self._keep(session, pace, take(pace, len(rows), now)[1])
        elif pace.is_healthy and delete_pace(session, pace.provider):
            self.paces.pop(pace.provider, None)
        return rows

    def allot(self, session: Session, claims: Sequence[Claim], now: datetime) -> list[Claim]:
        """Those claimed rows that may go now; the others wait in their providers' lanes."""
        groups = self._limited(claims)
        if not groups:
            return list(claims)
        parked: dict[int, HeldRows] = {}
        for name, pace in lock_paces(session, groups).items():
            count, after = take(pace, len(groups[name]), now)
            self._keep(session, pace, after)
            for one in groups[name][count:]:
                parked[one.delivery.id] = HeldRows(one.delivery.id, one.delivery.attempt, name)
        park_claimed(session, list(parked.values()), now)
        self.waiting |= {one.lane for one in parked.values()}
        return [one for one in claims if one.delivery.id not in parked]

    def _limited(self, claims: Sequence[Claim]) -> Mapping[str, list[Claim]]:
        """The claims whose provider has a limit, by provider; the operator's alerts have none."""
        groups: dict[str, list[Claim]] = defaultdict(list)
        for one in claims if self.paces else ():
            if one.subscriber is None or one.delivery.kind is DeliveryKind.OPERATOR_ALERT:
                continue
            name = provider_of(one.subscriber.email)
            pace = self.paces.get(name)
            if pace is not None and (pace.rate is not None or pace.is_open):
                groups[name].append(one)
        return groups

    def hear(self, answers: Sequence[ProviderReply], now: datetime) -> None:
        """Let the paces follow what the providers answered, in a transaction of its own."""
        troubled = {one.provider for one in answers if is_trouble(one.kind)}
        concerned = troubled | {one.provider for one in answers if one.provider in self.paces}
        if not concerned:
            return
        with transaction(self.sessions) as session:
            insert_paces(session, troubled, now)
            for name, pace in lock_paces(session, concerned).items():
                told = [(one.kind, one.words) for one in answers if one.provider == name]
                after = next_pace(pace, told, now)
                self._keep(session, pace, after)
                self._tell(session, pace, after, now)

    def _keep(self, session: Session, before: ProviderLimitView, after: ProviderLimitView) -> None:
        self.paces[after.provider] = after
        if after != before:
            update_pace(session, after)

    def _tell(
        self, session: Session, before: ProviderLimitView, after: ProviderLimitView, now: datetime
    ) -> None:
        """Say what changed: in the log always, to the operator when the breaker opens or closes."""
        if after.rate != before.rate:
            log.info("pace", provider=after.provider, rate=after.rate, reply=after.last_reply)
        if before.is_open == after.is_open:
            return
        opened_at = after.opened_at or before.opened_at or now
        verb, alert = ("opened", _opened(after)) if after.is_open else ("closed", _closed(before))
        log.warning("breaker", provider=after.provider, state=verb, reply=after.last_reply)
        occasion = f"breaker {verb} {after.provider} {opened_at.isoformat()}"
        alert_operator(session, self.settings, occasion, alert, now)


def _opened(pace: ProviderLimitView) -> Alert:
    probe = f"{pace.probe_at:%H:%M} UTC" if pace.probe_at else "once more"
    return Alert(
        subject=f"{pace.provider} refuses our mail",
        detail=(
            f"{pace.recent.count('p')} of the last {min(len(pace.recent), LOOKS_BACK)} mails were"
            f" refused for what we are, the last with: {pace.last_reply}. Mail to"
            f" {pace.provider} waits; one is tried at {probe}, and when it is taken, the rest follows."
        ),
        hint=(
            "Look the code up with the provider: SPF, DKIM, DMARC and PTR (paperboy doctor), block"
            " lists, complaints. Nobody was unsubscribed. What waits for too long comes in the"
            " next edition."
        ),
    )


def _closed(pace: ProviderLimitView) -> Alert:
    since = f"{pace.opened_at:%Y-%m-%d %H:%M} UTC" if pace.opened_at else "some time"
    return Alert(
        subject=f"{pace.provider} takes our mail again",
        detail=f"It had refused it since {since}. What waits goes out now, slowly at first.",
    )
