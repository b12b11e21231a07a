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
    next_limit,
    take,
)
from service.sending.domain.providers import provider_of
from service.sending.domain.smtp_replies import ReplyKind
from service.sending.store.provider_limits import (
    HeldRows,
    LimitClaim,
    claim_waiting_for,
    delete_limit,
    find_limits,
    find_waiting,
    insert_limits,
    lock_limits,
    park_claimed,
    update_limit,
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
    """What a run knows of providers; `limits` as of its last claim or answer."""

    sessions: sessionmaker[Session]
    settings: Settings
    limits: dict[str, ProviderLimitView] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()

    @property
    def held(self) -> frozenset[str]:
        """The providers that take nothing now."""
        return frozenset(name for name, limit_state in self.limits.items() if limit_state.is_open)

    def next_limit_at(self, now: datetime) -> datetime | None:
        """When the first provider for which rows wait takes one; None where none wait."""
        return min((next_at(self.limits[name], now) for name in self.waiting), default=None)

    def claim_waiting(
        self, session: Session, claim: LimitClaim, room: int, now: datetime
    ) -> list[Claim]:
        """Up to `room` rows that waited for providers which take some now; looks at all paces anew."""
        self.limits = find_limits(session)
        self.waiting = find_waiting(session) & self.limits.keys() if self.limits else frozenset()
        names = [
            name
            for name, limit_state in self.limits.items()
            if next_at(limit_state, now) <= now and (name in self.waiting or limit_state.is_healthy)
        ]
        claimed: list[Claim] = []
        for limit_state in (lock_limits(session, names) if names else {}).values():
            claimed += self._claim_waiting_for(
                session, claim, limit_state, room - len(claimed), now
            )
        return claimed

    def _claim_waiting_for(
        self,
        session: Session,
        claim: LimitClaim,
        limit_state: ProviderLimitView,
        room: int,
        now: datetime,
    ) -> list[Claim]:
        allowed, _ = take(limit_state, room, now)
        rows = (
            claim_waiting_for(session, claim, limit_state.provider, allowed, now) if allowed else []
        )
        if rows:
            self._keep(session, limit_state, take(limit_state, len(rows), now)[1])
        elif limit_state.is_healthy and delete_limit(session, limit_state.provider):
            self.limits.pop(limit_state.provider, None)
        return rows

    def allot(self, session: Session, claims: Sequence[Claim], now: datetime) -> list[Claim]:
        """Those claimed rows that may go now; the others wait in their providers' lanes."""
        groups = self._limited(claims)
        if not groups:
            return list(claims)
        parked: dict[int, HeldRows] = {}
        for name, limit_state in lock_limits(session, groups).items():
            count, after = take(limit_state, len(groups[name]), now)
            self._keep(session, limit_state, after)
            for one in groups[name][count:]:
                parked[one.delivery.id] = HeldRows(one.delivery.id, one.delivery.attempt, name)
        park_claimed(session, list(parked.values()), now)
        self.waiting |= {one.lane for one in parked.values()}
        return [one for one in claims if one.delivery.id not in parked]

    def _limited(self, claims: Sequence[Claim]) -> Mapping[str, list[Claim]]:
        """The claims whose provider has a limit, by provider; the operator's alerts have none."""
        groups: dict[str, list[Claim]] = defaultdict(list)
        for one in claims if self.limits else ():
            if one.subscriber is None or one.delivery.kind is DeliveryKind.OPERATOR_ALERT:
                continue
            name = provider_of(one.subscriber.email)
            limit_state = self.limits.get(name)
            if limit_state is not None and (limit_state.rate is not None or limit_state.is_open):
                groups[name].append(one)
        return groups

    def hear(self, answers: Sequence[ProviderReply], now: datetime) -> None:
        """Let the paces follow what the providers answered, in a transaction of its own."""
        troubled = {one.provider for one in answers if is_trouble(one.kind)}
        concerned = troubled | {one.provider for one in answers if one.provider in self.limits}
        if not concerned:
            return
        with transaction(self.sessions) as session:
            insert_limits(session, troubled, now)
            for name, limit_state in lock_limits(session, concerned).items():
                told = [(one.kind, one.words) for one in answers if one.provider == name]
                after = next_limit(limit_state, told, now)
                self._keep(session, limit_state, after)
                self._tell(session, limit_state, after, now)

    def _keep(self, session: Session, before: ProviderLimitView, after: ProviderLimitView) -> None:
        self.limits[after.provider] = after
        if after != before:
            update_limit(session, after)

    def _tell(
        self, session: Session, before: ProviderLimitView, after: ProviderLimitView, now: datetime
    ) -> None:
        """Say what changed: in the log always, to the operator when the breaker opens or closes."""
        if after.rate != before.rate:
            log.info("provider_limit", provider=after.provider, rate=after.rate, reply=after.last_reply)
        if before.is_open == after.is_open:
            return
        opened_at = after.opened_at or before.opened_at or now
        verb, alert = ("opened", _opened(after)) if after.is_open else ("closed", _closed(before))
        log.warning("breaker", provider=after.provider, state=verb, reply=after.last_reply)
        occasion = f"breaker {verb} {after.provider} {opened_at.isoformat()}"
        alert_operator(session, self.settings, occasion, alert, now)


def _opened(limit_state: ProviderLimitView) -> Alert:
    probe = f"{limit_state.probe_at:%H:%M} UTC" if limit_state.probe_at else "once more"
    return Alert(
        subject=f"{limit_state.provider} refuses our mail",
        detail=(
            f"{limit_state.recent.count('p')} of the last {min(len(limit_state.recent), LOOKS_BACK)} mails were"
            f" refused for what we are, the last with: {limit_state.last_reply}. Mail to"
            f" {limit_state.provider} waits; one is tried at {probe}, and when it is taken, the rest follows."
        ),
        hint=(
            "Look the code up with the provider: SPF, DKIM, DMARC and PTR (paperboy doctor), block"
            " lists, complaints. Nobody was unsubscribed. What waits for too long comes in the"
            " next edition."
        ),
    )


def _closed(limit_state: ProviderLimitView) -> Alert:
    since = f"{limit_state.opened_at:%Y-%m-%d %H:%M} UTC" if limit_state.opened_at else "some time"
    return Alert(
        subject=f"{limit_state.provider} takes our mail again",
        detail=f"It had refused it since {since}. What waits goes out now, slowly at first.",
    )
