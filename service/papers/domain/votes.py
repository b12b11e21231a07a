"""The weight of a vote: votes that look as if one person gave them count less and less.

A vote's weight is fixed when it is given, from the earlier votes for the same paper:

    weight = min(1, most / rank)   with   rank = 1 + earlier votes of the same group

and the least of these counts. The groups are the voter's mail domain, among the votes of the last 24
hours, with `most` 3 (30 where everybody may have an address), and the voters who confirmed within an
hour of this one, among all votes, with `most` 3. So a hundred votes of one group count as 13.
Subscribers whom the operator vouched for, by an import, belong to no group of confirmations. Reasons
are in `docs/trending.md`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

# How much a vote, and the operator's pick, count in upvotes of Hugging Face.
VOTE_UPVOTES = 1.0
PICK_UPVOTES = 10.0

# Votes begin so long after the confirmation.
WAIT = timedelta(hours=24)

WINDOW = timedelta(hours=24)
BURST = timedelta(hours=1)
MOST_IN_FULL = 3
MOST_OF_PROVIDER = 30
# Fewer votes than these are never called an outlier.
_FEWEST_OF_OUTLIER = 6

# Where everybody may have an address, so that an equal domain says little.
PROVIDERS = frozenset(
    [
        "126.com",
        "163.com",
        "aol.com",
        "att.net",
        "comcast.net",
        "duck.com",
        "fastmail.com",
        "foxmail.com",
        "free.fr",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "hotmail.com",
        "hotmail.co.uk",
        "hotmail.fr",
        "hotmail.it",
        "icloud.com",
        "laposte.net",
        "libero.it",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "mailbox.org",
        "me.com",
        "msn.com",
        "naver.com",
        "orange.fr",
        "outlook.com",
        "outlook.de",
        "outlook.fr",
        "pm.me",
        "posteo.de",
        "posteo.net",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rocketmail.com",
        "seznam.cz",
        "sina.com",
        "t-online.de",
        "tutanota.com",
        "web.de",
        "wp.pl",
        "yahoo.co.jp",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.de",
        "yahoo.fr",
        "yahoo.it",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
    ]
)


@dataclass(frozen=True, slots=True)
class Ballot:
    """A vote as it is weighed: the voter's mail domain, when they confirmed (None: the operator
    vouched for them), and when the vote was given.
    """

    domain: str
    confirmed_at: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class VoteCount:
    """The votes of a paper in some time: how many, their weight, and the most of one domain."""

    count: int
    weight: float
    domain: str = ""
    of_domain: int = 0

    @property
    def is_outlier(self) -> bool:
        """Whether less than half of the votes count: the operator is told."""
        return self.count >= _FEWEST_OF_OUTLIER and 2 * self.weight < self.count


def weigh_vote(vote: Ballot, earlier: Iterable[Ballot]) -> float:
    """Return the weight of a vote (above 0, at most 1) after the earlier votes for its paper."""
    of_domain = of_burst = 0
    for one in earlier:
        of_domain += one.domain == vote.domain and vote.at - one.at < WINDOW
        of_burst += _confirmed_together(one, vote)
    most = MOST_OF_PROVIDER if vote.domain in PROVIDERS else MOST_IN_FULL
    return min(1.0, most / (1 + of_domain), MOST_IN_FULL / (1 + of_burst))


def _confirmed_together(one: Ballot, other: Ballot) -> bool:
    if one.confirmed_at is None or other.confirmed_at is None:
        return False
    return abs(one.confirmed_at - other.confirmed_at) <= BURST
