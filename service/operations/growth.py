"""Growth and mails per day: subscriptions that began, ended and ran, and what became of mails."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from service.operations.store.day_counts import count_changes, count_mails
from service.subscribers.store.subscribers import SUBSCRIBED, count_by_state

# The states of the chart, by the name under which they are counted.
_MAIL_STATES = {
    "sent": ("sent",),
    "failed": ("failed",),
    "in_doubt": ("in_doubt", "carried"),
    "bounced": ("bounced", "complained"),
}


@dataclass(frozen=True, slots=True)
class GrowthDay:
    """One UTC day: how many joined and left, and how many were subscribed at its end.

    Paused subscribers count as subscribed; those who were erased count on no day.
    """

    on: date
    joined: int
    left: int
    subscribed: int


@dataclass(frozen=True, slots=True)
class MailDay:
    """The mails of one day by what became of them: sent, failed, in_doubt, bounced."""

    on: date
    counts: Mapping[str, int]


def load_growth(session: Session, now: datetime, days: int) -> tuple[GrowthDay, ...]:
    """Return the last days, oldest first, counted back from the subscribers of now."""
    since = first_moment(now, days)
    found = count_changes(session, since)
    states = count_by_state(session)
    subscribed = sum(states.get(state, 0) for state in SUBSCRIBED)
    growth = []
    for on in days_since(since, days)[::-1]:
        joined, left = found[on]["joined"], found[on]["left"]
        growth.append(GrowthDay(on, joined, left, max(0, subscribed)))
        subscribed += left - joined
    return tuple(growth[::-1])


def load_mail_days(session: Session, now: datetime, days: int) -> tuple[MailDay, ...]:
    """Return the last days, oldest first."""
    since = first_moment(now, days)
    found = count_mails(session, since)
    return tuple(
        MailDay(
            on,
            {
                name: sum(found.get(on, {}).get(state, 0) for state in states)
                for name, states in _MAIL_STATES.items()
            },
        )
        for on in days_since(since, days)
    )


def first_moment(now: datetime, days: int) -> datetime:
    """Return the beginning of the first of some UTC days that end with today."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)


def days_since(since: datetime, days: int) -> list[date]:
    """Return consecutive dates, the first one first."""
    return [since.date() + timedelta(days=number) for number in range(days)]
