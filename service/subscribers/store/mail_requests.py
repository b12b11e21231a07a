"""What forms asked for: inserted by the web, settled by a worker, counted for an hour."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from service.subscribers.store.models import MailRequest

COUNTED = timedelta(hours=1)
# What takes the place of a sign-up's choices: the id of a paper that the link shall vote for.
VOTE_FOR = "vote_for"


class HourlyCount(NamedTuple):
    """Mails queued in the last hour, with the requests that may still lead to one."""

    all: int
    domain: int


_COUNT = text("""
SELECT count(*), count(*) FILTER (WHERE domain = :domain) FROM mail_requests WHERE created_at > :since
""")


def count_last_hour(session: Session, domain: str, now: datetime) -> HourlyCount:
    """Return the counts for everybody and for one domain. It looks at no address."""
    row = session.execute(_COUNT, {"domain": domain, "since": now - COUNTED}).one()
    return HourlyCount(*row)


def insert_mail_request(
    session: Session,
    email: str,
    now: datetime,
    *,
    choices: dict[str, Any] | None = None,
    page: str = "",
    locale: str = "",
) -> None:
    """Insert a request for a valid address. The same work for every address, known or not."""
    domain = email.rpartition("@")[2].casefold()
    session.add(
        MailRequest(
            email=email, domain=domain, choices=choices, page=page, locale=locale, created_at=now
        )
    )


def next_unsettled(session: Session) -> MailRequest | None:
    """Return the oldest request that is not settled, locked, or None.

    All workers wait for the same row, so that two spellings of one mailbox are counted one after
    the other; a worker that waited gets none, and leaves the rest to the one it waited for.
    """
    return session.scalar(
        select(MailRequest)
        .where(MailRequest.settled_at.is_(None))
        .order_by(MailRequest.id)
        .limit(1)
        .with_for_update()
    )


def settle(session: Session, request: MailRequest, now: datetime, *, is_mailed: bool) -> None:
    """Forget the address of a request; keep the row to be counted if it led to a mail."""
    if not is_mailed:
        session.delete(request)
        return
    request.email, request.choices, request.locale, request.settled_at = "", None, "", now


def delete_counted(session: Session, now: datetime) -> None:
    """Delete the settled requests that are no longer counted."""
    is_old = MailRequest.created_at <= now - COUNTED
    session.execute(delete(MailRequest).where(is_old, MailRequest.settled_at.is_not(None)))
