"""A reader's story of one date as lines: what was in each mail and why, and how it went out."""

from __future__ import annotations

from itertools import groupby

from service.cli.report_lines import provider_lines
from service.operations.explain import (
    BounceStory,
    DeliveryStory,
    EditionName,
    EventStory,
    PaperStory,
    Story,
)


def story_lines(story: Story) -> list[str]:
    topics = "; ".join(story.topics) or "none: trending papers"
    lines = [f"{story.email} is {story.state}. Topics: {topics}."]
    if story.suppressed:
        lines.append(f"The address is suppressed: {story.suppressed}.")
    lines += provider_lines([story.pace] if story.pace else [])
    lines += [_bounce_line(bounce) for bounce in story.bounces]
    if not story.deliveries:
        lines.append(f"Nothing was queued for {story.on}.")
    for delivery in story.deliveries:
        lines += ["", *_delivery_lines(delivery)]
    return lines


def _delivery_lines(told: DeliveryStory) -> list[str]:
    why_so = f": {told.reason}" if told.reason else ""
    edition = f" of the {told.cadence} edition {told.edition_id}" if told.edition_id else ""
    name = told.kind.replace("_", " ").capitalize()
    lines = [f"{name}{edition}: {told.state}{why_so}"]
    if told.message_id:
        lines.append(f"  {told.message_id}")
    for topic, papers in groupby(told.papers, key=lambda paper: paper.topic):
        lines.append(f"  {topic}")
        lines += [line for paper in papers for line in _paper_lines(paper)]
    if told.cut:
        lines.append(f"  Cut for length: {', '.join(told.cut)}")
    lines += [
        f"  Brings again what {_edition(one)} did not bring for certain"
        for one in told.carried_from
    ]
    lines += [
        f"  {event.at:%Y-%m-%d %H:%M:%S} UTC, try {event.attempt}: {event.state} {event.detail}"
        f"{_way(event)}"
        for event in told.events
    ]
    lines += [f"  {_bounce_line(bounce)}" for bounce in told.bounces]
    if told.carried_into:
        lines.append(f"  Its papers came again in {_edition(told.carried_into)}")
    return lines


def _way(event: EventStory) -> str:
    """How far a try got, where it was not answered for the message itself, and through whom."""
    phase = f"in phase {event.phase}" if event.phase not in {"", "replied"} else ""
    way = " ".join(filter(None, (phase, f"through {event.relay}" if event.relay else "")))
    return f" ({way})" if way else ""


def _edition(name: EditionName) -> str:
    return f"the {name.cadence} edition {name.edition_id} of {name.on}"


def _bounce_line(bounce: BounceStory) -> str:
    said = " ".join(filter(None, (bounce.code, bounce.detail)))
    return (
        f"{bounce.at:%Y-%m-%d %H:%M:%S} UTC, came back by {bounce.source}: {bounce.verdict} {said}"
    )


def _paper_lines(paper: PaperStory) -> list[str]:
    seen = " (perhaps seen before)" if paper.is_maybe_seen else ""
    lines = [f"    {paper.key}  {paper.title}{seen}"]
    return [*lines, f"      {'; '.join(paper.reasons)}"] if paper.reasons else lines
