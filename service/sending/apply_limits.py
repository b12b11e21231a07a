"""Apply the provider limits to claims, and update them from the providers' replies.

While no provider has a limit this costs one query of an empty table per claim.
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
from service.sending.domain import provider_limits
from service.sending.domain.providers import provider_of
from service.sending.domain.smtp_replies import ReplyKind
from service.sending.store import provider_limits as store

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

    @property
    def paused(self) -> frozenset[str]:
        """The providers whose circuit breaker is open."""
        return frozenset(name for name, limit_state in self.limits.items() if limit_state.is_open)

    def next_limit_at(self, now: datetime) -> datetime | None:
        """Return when the next waiting row may be sent to its provider; None if no rows wait."""
        return min(
            (provider_limits.next_at(self.limits[name], now) for name in self.waiting), default=None
        )

    def claim_waiting(
        self, session: Session, claim: store.LimitClaim, room: int, now: datetime
    ) -> list[Claim]:
        """Reload all limits and claim up to `room` waiting rows of providers that allow some now."""
        self.limits = store.find_limits(session)
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
        rows = (
            store.claim_waiting_for(session, claim, limit_state.provider, allowed, now)
            if allowed
            else []
        )
        if rows:
            self._save(session, limit_state, provider_limits.take(limit_state, len(rows), now)[1])
        elif limit_state.is_healthy and store.delete_limit(session, limit_state.provider):
            self.limits.pop(limit_state.provider, None)
        return rows

    def allot(self, session: Session, claims: Sequence[Claim], now: datetime) -> list[Claim]:
        """Return the claims that may be sent now, and park the others until their limit allows."""
        groups = self._limited(claims)
        if not groups:
            return list(claims)
        parked: dict[int, store.ParkedRow] = {}
        for name, limit_state in store.lock_limits(session, groups).items():
            count, after = provider_limits.take(limit_state, len(groups[name]), now)
            self._save(session, limit_state, after)
            for claim in groups[name][count:]:
                parked[claim.id] = store.ParkedRow(claim.id, claim.attempt, name)
        store.park_claimed(session, list(parked.values()), now)
        self.waiting |= {row.provider for row in parked.values()}
        return [claim for claim in claims if claim.id not in parked]

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
