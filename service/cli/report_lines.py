"""Batches and editions as tables: what was announced, and what became of every digest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from service.cli.output import counted, table

if TYPE_CHECKING:
    from service.editions.balance import Balance
    from service.operations.explain import (
        BounceStory,
        DeliveryStory,
        EditionName,
        EventStory,
        PaperStory,
        Story,
    )
    from service.operations.figures import Doubt, ProviderLine
    from service.operations.status import EditionStory
    from service.papers.ingest import BatchReport


def batch_name(report: BatchReport) -> str:
    return " ".join(filter(None, (report.source, report.category, str(report.announced_on))))


def batch_table(reports: Sequence[BatchReport]) -> str:
    """What one look at each batch brought; `stored` are papers that were not known before.

    Columns in which nothing stands are left out, so that the usual day fits a terminal.
    """
    rows = [_batch_row(report) for report in reports]
    filled = [name for name in rows[0] if any(row[name] for row in rows)]
    return table(filled, [[row[name] for name in filled] for row in rows])


def _batch_row(report: BatchReport) -> dict[str, object]:
    count = report.counts.get
    return {
        "batch": batch_name(report),
        "state": report.state,
        ">new": count("new", 0),
        ">cross": count("cross", 0),
        ">replaced": count("replace", 0) + count("replace-cross", 0),
        ">listed": count("listed", 0),
        ">withdrawn": report.withdrawn_count,
        ">stored": report.stored_count,
        ">unreadable": report.bad_count,
        "note": report.error or report.note,
    }


def edition_lines(balance: Balance) -> list[str]:
    """The accounting of an edition, for people."""
    title = (
        f"{balance.cadence.capitalize()} edition of {balance.local_date}: number "
        f"{balance.edition_id}, {balance.state}, {counted(balance.paper_count, 'paper')}"
    )
    if balance.candidate_count is None:
        return [title, "Its digests are still being composed."]
    rows = [*balance.states.items(), ("candidates", balance.candidate_count)]
    verdict = "The balance closes." if balance.closes else "THE BALANCE DOES NOT CLOSE."
    return [title, table(("state", ">digests"), rows), verdict]


def story_of_edition(story: EditionStory) -> list[str]:
    """An edition's account with what is behind its numbers: what failed, waits, or is in doubt."""
    lines = edition_lines(story)
    for reply in story.failures:
        lines.append(f"Failed {reply.count} times: {reply.example}")
    lines += _waiting_lines(story)
    lines += doubt_lines(story.doubts)
    if story.doubts:
        lines.append(f"Answer: paperboy resolve {story.edition_id} --in-doubt sent|resend|carry")
    return lines


def _waiting_lines(story: EditionStory) -> list[str]:
    waiting, lines = story.waiting, []
    if waiting.due_count:
        since = f"the oldest since {moment(waiting.oldest_due_at)}"
        lines.append(f"Due: {counted(waiting.due_count, 'digest')}, {since}.")
    if waiting.retry_count:
        when = f"the next at {moment(waiting.next_retry_at)}"
        lines.append(f"To be tried again: {counted(waiting.retry_count, 'digest')}, {when}.")
    first_tries = waiting.later_count - waiting.retry_count
    if first_tries:
        when = f"the last at {moment(waiting.last_due_at)}"
        lines.append(f"Not due yet: {counted(first_tries, 'digest')}, {when}.")
    lines += [f"Held for {lane}: {counted(count, 'digest')}." for lane, count in waiting.lanes]
    if waiting.due_count or waiting.later_count:
        end = f"done at about {moment(story.ends_at)}" if story.ends_at else "nothing moves now"
        lines.append(f"Rate: {story.rate_per_second:g} a second; {end}.")
    return lines


def doubt_lines(doubts: Sequence[Doubt]) -> list[str]:
    """Doubts by provider: how many, since when, and what is known."""
    return [
        f"In doubt since {moment(doubt.since)}: {doubt.count} at {doubt.provider}"
        + (f" through {doubt.relay}" if doubt.relay else "")
        + (f" ({doubt.detail})" if doubt.detail else "")
        for doubt in doubts
    ]


def moment(at: datetime | None) -> str:
    """A time as commands tell it."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "?"


def provider_lines(providers: Sequence[ProviderLine]) -> list[str]:
    """The providers that take our mail slowly, or not at all."""
    return [_provider(one) for one in providers]


def _provider(one: ProviderLine) -> str:
    said = f": {one.last_reply}" if one.last_reply else ""
    if one.breaker != "closed":
        probe = f", tried again at {moment(one.probe_at)}" if one.probe_at else ""
        return f"{one.provider} is paused since {moment(one.since)}{probe}{said}"
    limit_state = f"{one.rate:g} a second" if one.rate is not None else "watched"
    return f"{one.provider} at {limit_state} since {moment(one.since)}{said}"


def story_lines(story: Story) -> list[str]:
    topics = "; ".join(story.topics) or "none: trending papers"
    lines = [f"{story.email} is {story.state}. Topics: {topics}."]
    if story.suppressed:
        lines.append(f"The address is suppressed: {story.suppressed}.")
    lines += provider_lines([story.limit_state] if story.limit_state else [])
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
