"""Apply the provider limits and the warm-up to claims, and update them from the providers' replies.

While no provider has a limit this costs one query of an empty table per claim, and nothing where no
domain is warmed up.
"""

from collections import Counter, defaultdict
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
from service.sending.domain import provider_limits
from service.sending.domain.providers import provider_of
from service.sending.domain.smtp_replies import ReplyKind
from service.sending.domain.warm_up import Mail, WarmUp
from service.sending.store import provider_limits as store
from service.sending.store import warm_up as warm_up_store

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProviderReply:
    """One reply: its provider, what it is about, and its text."""

    provider: str
    kind: ReplyKind
    text: str


@dataclass(slots=True)
class LimitUpdater:
    """A run's view of the provider limits, as of its last claim or reply."""

    sessions: sessionmaker[Session]
    settings: Settings
    limits: dict[str, provider_limits.ProviderLimitView] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    warm_up: WarmUp | None = None
    _may_warm_up: bool = field(init=False)

    def __post_init__(self) -> None:
        self._may_warm_up = warm_up_store.is_possible(self.settings)

    @property
    def paused(self) -> frozenset[str]:
        """The providers whose circuit breaker is open."""
        return frozenset(name for name, limit_state in self.limits.items() if limit_state.is_open)

    def next_limit_at(self, now: datetime) -> datetime | None:
        """Return when the next waiting row may be sent to its provider; None if no rows wait."""
        return min((self._next_at(name, now) for name in self.waiting), default=None)

    def _next_at(self, name: str, now: datetime) -> datetime:
        at = provider_limits.next_at(self.limits[name], now)
        return max(at, self.warm_up.next_at(name, now)) if self.warm_up else at

    def claim_waiting(
        self, session: Session, claim: store.LimitClaim, room: int, now: datetime
    ) -> list[Claim]:
        """Reload all limits and claim up to `room` waiting rows of providers that allow some now."""
        self.limits, self.warm_up = store.find_limits(session), None
        if self.limits:
            self._lock_warm_up(session, now)
        self.waiting = (
            store.find_waiting(session) & self.limits.keys() if self.limits else frozenset()
        )
        names = [
            name
            for name, limit_state in self.limits.items()
            if provider_limits.next_at(limit_state, now) <= now
            and (name in self.waiting or limit_state.is_healthy)
        ]
        claimed: list[Claim] = []
        for limit_state in (store.lock_limits(session, names) if names else {}).values():
            claimed += self._claim_waiting_for(
                session, claim, limit_state, room - len(claimed), now
            )
        return claimed

    def _claim_waiting_for(
        self,
        session: Session,
        claim: store.LimitClaim,
        limit_state: provider_limits.ProviderLimitView,
        room: int,
        now: datetime,
    ) -> list[Claim]:
        allowed, _ = provider_limits.take(limit_state, room, now)
        name = limit_state.provider
        is_full = self.warm_up is not None and not self.warm_up.room(name)
        if self.warm_up is not None and not is_full:
            allowed = min(allowed, self.warm_up.room(name))
        rows = (
            store.claim_waiting_for(session, claim, name, allowed, now, is_full=is_full)
            if allowed
            else []
        )
        if rows:
            self._save(session, limit_state, provider_limits.take(limit_state, len(rows), now)[1])
        elif limit_state.is_healthy and store.delete_limit(session, name):
            self.limits.pop(name, None)
        return rows

    def allot(self, session: Session, claims: Sequence[Claim], now: datetime) -> list[Claim]:
        """Return the claims that may be sent now, and park the others until their limit allows."""
        held = self._hold(session, claims, now)
        groups = self._limited([claim for claim in claims if claim.id not in held])
        if groups or held:
            parked = {claim.id: held[claim.id] for claim in claims if claim.id in held}
            store.insert_limits(session, set(held.values()), now)
            for name, limit_state in store.lock_limits(session, {*groups, *held.values()}).items():
                group = groups.get(name, [])
                count, after = provider_limits.take(limit_state, len(group), now)
                self._save(session, limit_state, after)
                parked |= dict.fromkeys((claim.id for claim in group[count:]), name)
            rows = [
                store.ParkedRow(c.id, c.attempt, parked[c.id]) for c in claims if c.id in parked
            ]
            store.park_claimed(session, rows, now)
            self.waiting |= set(parked.values())
            claims = [claim for claim in claims if claim.id not in parked]
        self.count(session, claims, now)
        return list(claims)

    def count(self, session: Session, claims: Sequence[Claim], now: datetime) -> None:
        """Count in the warm-up what is about to be sent."""
        if self.warm_up is not None:
            counts = Counter(mail.provider for mail in _mails(claims))
            self.warm_up = self.warm_up.count(counts)
            warm_up_store.add_counts(session, self.settings, counts, now)

    def _hold(self, session: Session, claims: Sequence[Claim], now: datetime) -> dict[int, str]:
        """Return the claims that wait for the next day of the warm-up (id -> provider)."""
        if claims and self.warm_up is None:
            self._lock_warm_up(session, now)
        if self.warm_up is None:
            return {}
        held = self.warm_up.hold(_mails(claims))
        if held:
            warm_up_store.note_held(session, held, self.warm_up, now)
            counts = Counter(held.values())
            log.info(
                "warm_up.held",
                day=self.warm_up.day,
                limit=self.warm_up.limit,
                providers=dict(counts),
            )
        return held

    def _lock_warm_up(self, session: Session, now: datetime) -> None:
        """Read the warm-up, before any limit is locked; once it is over, this run asks no more."""
        if self._may_warm_up:
            self.warm_up = warm_up_store.lock_warm_up(session, self.settings, now)
            self._may_warm_up = self.warm_up is not None

    def _limited(self, claims: Sequence[Claim]) -> Mapping[str, list[Claim]]:
        """Group the claims whose provider has a limit by provider; alerts never have one."""
        groups: dict[str, list[Claim]] = defaultdict(list)
        for claim in claims if self.limits else ():
            if claim.subscriber is None or claim.delivery.kind is DeliveryKind.OPERATOR_ALERT:
                continue
            name = provider_of(claim.subscriber.email)
            limit_state = self.limits.get(name)
            if limit_state is not None and (limit_state.rate is not None or limit_state.is_open):
                groups[name].append(claim)
        return groups

    def apply_replies(self, replies: Sequence[ProviderReply], now: datetime) -> None:
        """Update the limits from the providers' replies, in a transaction of its own."""
        limiting = {reply.provider for reply in replies if provider_limits.is_trouble(reply.kind)}
        known = {reply.provider for reply in replies if reply.provider in self.limits}
        if not limiting | known:
            return
        with transaction(self.sessions) as session:
            store.insert_limits(session, limiting, now)
            for name, limit_state in store.lock_limits(session, limiting | known).items():
                own = [(reply.kind, reply.text) for reply in replies if reply.provider == name]
                after = provider_limits.next_limit(limit_state, own, now)
                self._save(session, limit_state, after)
                self._report_change(session, limit_state, after, now)

    def _save(
        self,
        session: Session,
        before: provider_limits.ProviderLimitView,
        after: provider_limits.ProviderLimitView,
    ) -> None:
        self.limits[after.provider] = after
        if after != before:
            store.update_limit(session, after)

    def _report_change(
        self,
        session: Session,
        before: provider_limits.ProviderLimitView,
        after: provider_limits.ProviderLimitView,
        now: datetime,
    ) -> None:
        """Log what changed, and alert the operator when the breaker opens or closes."""
        if after.rate != before.rate:
            log.info(
                "provider_limit", provider=after.provider, rate=after.rate, reply=after.last_reply
            )
        if before.is_open == after.is_open:
            return
        opened_at = after.opened_at or before.opened_at or now
        verb, alert = ("opened", _opened(after)) if after.is_open else ("closed", _closed(before))
        log.warning("breaker", provider=after.provider, state=verb, reply=after.last_reply)
        occasion = f"breaker {verb} {after.provider} {opened_at.isoformat()}"
        alert_operator(session, self.settings, occasion, alert, now)


def _mails(claims: Sequence[Claim]) -> list[Mail]:
    """Return the claims as a warm-up sees them, without mail to the operator."""
    return [
        Mail(
            claim.id,
            provider_of(claim.subscriber.email),
            claim.delivery.kind is DeliveryKind.DIGEST,
        )
        for claim in claims
        if claim.subscriber is not None
    ]


def _opened(limit_state: provider_limits.ProviderLimitView) -> Alert:
    probe = f"at {limit_state.probe_at:%H:%M} UTC" if limit_state.probe_at else "later"
    return Alert(
        subject=f"{limit_state.provider} refuses our mail",
        detail=(
            f"{limit_state.recent.count('p')} of the last {min(len(limit_state.recent), provider_limits.LOOKS_BACK)} mails were"
            f" refused for policy (about us, not about an address), the last with: {limit_state.last_reply}."
            f" Mail to {limit_state.provider} waits. One mail is tried {probe}; if it is accepted, the rest follows."
        ),
        hint=(
            "Look the code up with the provider: SPF, DKIM, DMARC and PTR (paperboy doctor), block"
            " lists, complaints. Nobody was unsubscribed. The papers of mail that waits too long come in"
            " the next edition."
        ),
    )


def _closed(limit_state: provider_limits.ProviderLimitView) -> Alert:
    since = f" since {limit_state.opened_at:%Y-%m-%d %H:%M} UTC" if limit_state.opened_at else ""
    return Alert(
        subject=f"{limit_state.provider} takes our mail again",
        detail=f"It had refused it{since}. The waiting mail is sent now, slowly at first.",
    )
