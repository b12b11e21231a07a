"""The warm-up of a new sending domain: how many mails each provider gets a day, more from day to day.

Providers trust a domain by what it sent before. Google: "Start with a low sending volume to engaged
users, and slowly increase the volume over time", and "immediately doubling previously sent volumes
suddenly could result in rate limiting or reputation drops" (Email sender guidelines,
https://support.google.com/a/answer/81126). So the limit grows by half, on each day of sending.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

FIRST_LIMIT = 50
# 50, 75, 112, 168, … 9,730 on the 14th day.
_GROWTH, _OVER = 3, 2


class Mail(NamedTuple):
    """A claimed mail: its row, its provider, and whether it may wait, as digests may."""

    id: int
    provider: str
    may_wait: bool


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A day of a domain's warm-up: the `day`-th of `days` on which it sends.

    `sent` is what each provider got today; `ends_at` is when the next day begins (UTC).
    """

    day: int
    days: int
    ends_at: datetime
    sent: Mapping[str, int] = field(default_factory=dict)

    @property
    def limit(self) -> int:
        """The most mails to one provider today."""
        return int(FIRST_LIMIT * _GROWTH ** (self.day - 1) // _OVER ** (self.day - 1))

    def room(self, provider: str) -> int:
        return max(0, self.limit - self.sent.get(provider, 0))

    def next_at(self, provider: str, now: datetime) -> datetime:
        """Return when the next digest may be sent to a provider: `now`, or when the day is over."""
        return now if self.room(provider) else self.ends_at

    def count(self, sent: Mapping[str, int]) -> "WarmUp":
        return replace(self, sent=dict(Counter(self.sent) + Counter(sent)))

    def hold(self, mails: Sequence[Mail]) -> dict[int, str]:
        """Return the mails that wait for the next day (id -> provider).

        Mail that may not wait is never held, but it takes its place.
        """
        room = {mail.provider: self.room(mail.provider) for mail in mails}
        held: dict[int, str] = {}
        for mail in sorted(mails, key=lambda mail: mail.may_wait):
            if mail.may_wait and room[mail.provider] <= 0:
                held[mail.id] = mail.provider
            else:
                room[mail.provider] -= 1
        return held


def find_day(days_before: int, days: int, now: datetime) -> WarmUp | None:
    """Return the day of a warm-up of `days`, after `days_before` days of sending; None when it is over."""
    if days_before >= days:
        return None
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return WarmUp(days_before + 1, days, tomorrow)
