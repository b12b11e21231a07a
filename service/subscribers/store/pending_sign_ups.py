"""Sign-ups of known addresses, kept apart until the link of one of them is confirmed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.platform.signing.tokens import TERMS, Purpose
from service.subscribers.domain.choices import preferences_to_json
from service.subscribers.domain.sign_up import ValidSignUp
from service.subscribers.store.models import PendingSignUp

# Later sign-ups of one address replace earlier ones of which no mail went out.
MOST_KEPT = 5
# As long as the links that name them work.
KEPT = TERMS[Purpose.CONFIRM].lifetime or timedelta(days=7)


def keep_sign_up(
    session: Session, subscriber_id: int, form: ValidSignUp, now: datetime
) -> PendingSignUp:
    """Insert a sign-up of a known subscriber; the oldest that no mail names makes room for it."""
    chosen = preferences_to_json(form.preferences)
    kept = PendingSignUp(
        subscriber_id=subscriber_id,
        choices=chosen,
        page=form.page,
        locale=form.locale,
        is_mailed=False,
        created_at=now,
    )
    session.add(kept)
    session.flush()
    unmailed = (
        select(PendingSignUp.id)
        .where(PendingSignUp.subscriber_id == subscriber_id, ~PendingSignUp.is_mailed)
        .order_by(PendingSignUp.id.desc())
        .offset(MOST_KEPT)
    )
    session.execute(delete(PendingSignUp).where(PendingSignUp.id.in_(unmailed)))
    return kept


def list_kept(session: Session, subscriber_id: int, now: datetime) -> Sequence[PendingSignUp]:
    """Return the sign-ups of a subscriber that can still be confirmed, the oldest first."""
    return session.scalars(
        select(PendingSignUp)
        .where(PendingSignUp.subscriber_id == subscriber_id, PendingSignUp.created_at > now - KEPT)
        .order_by(PendingSignUp.id)
    ).all()


def forget_sign_ups(session: Session, subscriber_id: int) -> None:
    """Delete all of a subscriber's: one was confirmed, or they left."""
    session.execute(delete(PendingSignUp).where(PendingSignUp.subscriber_id == subscriber_id))


def delete_lapsed(session: Session, now: datetime) -> None:
    """Delete those of all subscribers whose links have expired."""
    session.execute(delete(PendingSignUp).where(PendingSignUp.created_at <= now - KEPT))
