"""The sentence of a mail about papers that wait for a later digest."""

from collections.abc import Sequence

from service.deliveries.domain.digest import TopicWait
from service.presentation.dates import day_and_month
from service.presentation.phrases import count_of, topic_title


def waits_line(waits: Sequence[TopicWait]) -> str:
    """Return `Waiting for a later digest: 3 papers on Robots, until Thursday 3 December.` for these."""
    return f"Waiting for a later digest: {'; '.join(map(_describe, waits))}." if waits else ""


def _describe(wait: TopicWait) -> str:
    until = day_and_month(wait.until)
    when = (
        f"until there are {wait.at_least}, at the latest {until}"
        if wait.at_least > 1
        else f"until {until}"
    )
    return f"{count_of(wait.count, 'paper')} on {topic_title(wait.title)}, {when}"
