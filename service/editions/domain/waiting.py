"""Which papers of a topic come today, and which wait: for their weekday, or for company."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from service.deliveries.domain.digest import TopicWait
from service.deliveries.domain.recipients import Cadence
from service.topics.domain.types import TopicMeasure

# After so long the papers of a topic come even if they are fewer than it asks for.
LONGEST_WAIT = timedelta(days=28)


class WaitingTopic(NamedTuple):
    """Papers of a topic that wait, the first since `since_on`; `topic_id` is 0 where it is deleted."""

    topic_id: int
    since_on: date
    paper_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DigestDay:
    """The local date on which a digest comes, its cadence, and the subscriber's weekday (0..6)."""

    on: date
    cadence: Cadence
    weekday: int

    def next_weekly(self, since: date) -> date:
        """Return the first date from `since` on at which papers of weekly topics come.

        A weekdays digest never comes at the weekend: then it is Monday.
        """
        is_weekend = self.cadence is Cadence.WEEKDAYS and self.weekday >= 5
        weekday = 0 if is_weekend else self.weekday
        return since + timedelta(days=(weekday - since.weekday()) % 7)

    def is_weekly_day(self, since: date, at_least: int) -> bool:
        """Return whether papers that wait since then may come; weeks and months wait for no weekday.

        Where their digest was missed, they come with the next one, unless they need company.
        """
        if self.cadence.collects_days:
            return True
        wanted = self.next_weekly(since if at_least == 1 else self.on)
        return wanted <= self.on


@dataclass(frozen=True, slots=True)
class TopicMatch:
    """A topic with its `new` papers of today that the subscriber was not sent."""

    topic_id: int
    title: str
    new: frozenset[int]


def hold_topics(
    topics: Sequence[TopicMatch],
    measures: Mapping[int, TopicMeasure],
    waiting: Iterable[WaitingTopic],
    day: DigestDay,
) -> dict[int, WaitingTopic]:
    """Return what waits after today by topic, which may be nothing; all other topics come now.

    A paper that another topic shows today comes with that and does not wait. After `LONGEST_WAIT`
    every paper comes.
    """
    before = {one.topic_id: one for one in waiting}
    free = frozenset[int]().union(*(one.new for one in topics if one.topic_id not in measures))
    held: dict[int, WaitingTopic] = {}
    for topic in topics:
        measure = measures.get(topic.topic_id)
        earlier = before.get(topic.topic_id, WaitingTopic(topic.topic_id, day.on, ()))
        ids = (*earlier.paper_ids, *sorted(topic.new - free - {*earlier.paper_ids}))
        if measure and ids and not _comes(measure, earlier.since_on, len(ids), day):
            held[topic.topic_id] = WaitingTopic(topic.topic_id, earlier.since_on, ids)
    shown = frozenset[int]().union(*(one.new for one in topics if one.topic_id not in held))
    return {
        number: one._replace(paper_ids=tuple(i for i in one.paper_ids if i not in shown))
        for number, one in held.items()
    }


def _comes(measure: TopicMeasure, since: date, count: int, day: DigestDay) -> bool:
    if day.on >= since + LONGEST_WAIT:
        return True
    if measure.is_weekly and not day.is_weekly_day(since, measure.at_least):
        return False
    return count >= measure.at_least


def describe_waits(
    held: Iterable[WaitingTopic],
    titles: Mapping[int, str],
    measures: Mapping[int, TopicMeasure],
    day: DigestDay,
) -> tuple[TopicWait, ...]:
    """Return what a mail says of the papers that wait after it."""
    waits = []
    for one in held:
        measure = measures[one.topic_id]
        until = one.since_on + LONGEST_WAIT
        if measure.at_least == 1:
            until = day.next_weekly(day.on + timedelta(days=1))
        waits.append(TopicWait(titles[one.topic_id], len(one.paper_ids), until, measure.at_least))
    return tuple(wait for wait in waits if wait.count)
