"""Lines about batches, editions and deliveries, for people."""

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
    from service.operations.figures import Doubt, GateLine, ProviderLine, QuarantineLine, WarmUpLine
    from service.operations.status import EditionStory
    from service.papers.ingest import BatchReport
    from service.sending.pause_switch import Pause


def batch_name(report: BatchReport) -> str:
    return " ".join(filter(None, (report.source, report.category, str(report.announced_on))))


def batch_table(reports: Sequence[BatchReport]) -> str:
    """Return the table of fetched batches; `stored` are papers that were new to us.

    Empty columns are left out, so that a usual day fits a terminal.
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
    """Return the balance of an edition."""
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
    """Return the balance of an edition, with details of what failed, waits, or is in doubt."""
    lines = edition_lines(story)
    for reply in story.failures:
        lines.append(f"Failed {reply.count} times: {reply.example}")
    lines += _waiting_lines(story)
    lines += doubt_lines(story.doubts)
    if story.doubts:
        lines.append(f"Run: paperboy resolve {story.edition_id} --in-doubt sent|resend|carry")
    return lines


def _waiting_lines(story: EditionStory) -> list[str]:
    waiting, lines = story.waiting, []
    if waiting.due_count:
        since = f"the oldest since {moment(waiting.oldest_due_at)}"
        lines.append(f"Due: {counted(waiting.due_count, 'digest')}, {since}.")
    if waiting.retry_count:
        when = f"the next at {moment(waiting.next_retry_at)}"
        lines.append(f"To retry: {counted(waiting.retry_count, 'digest')}, {when}.")
    first_tries = waiting.later_count - waiting.retry_count
    if first_tries:
        when = f"the last at {moment(waiting.last_due_at)}"
        lines.append(f"Not due yet: {counted(first_tries, 'digest')}, {when}.")
    lines += [
        f"Held for {provider}: {counted(count, 'digest')}." for provider, count in waiting.limited
    ]
    if waiting.due_count or waiting.later_count:
        end = f"done at about {moment(story.ends_at)}" if story.ends_at else "nothing is sent now"
        lines.append(f"Rate: {story.rate_per_second:g} a second; {end}.")
    return lines


def doubt_lines(doubts: Sequence[Doubt]) -> list[str]:
    """Return a line for each provider with mails in doubt: how many, since when, and details."""
    return [
        f"In doubt since {moment(doubt.since)}: {doubt.count} at {doubt.provider}"
        + (f" through {doubt.relay}" if doubt.relay else "")
        + (f" ({doubt.detail})" if doubt.detail else "")
        for doubt in doubts
    ]


def quarantine_lines(count: int, newest: Sequence[QuarantineLine]) -> list[str]:
    """Return how many mails are in quarantine, and a line for each of the newest."""
    if not newest:
        return []
    head = f"Quarantine: {counted(count, 'mail')} to the bounce address could not be parsed."
    return [
        head,
        *(f"{moment(one.at)} by {one.source}: {one.reason}. In {one.place}." for one in newest),
    ]


def moment(at: datetime | None) -> str:
    """Return a time as commands print it."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "?"


def pause_lines(pause: Pause | None) -> list[str]:
    """Return the sentence that all sending is paused, if it is."""
    return [f"{pause_text(pause)}."] if pause else []


def pause_text(pause: Pause) -> str:
    """Return since when all sending is paused, by whom, and how it goes on."""
    return (
        f"all sending is paused since {moment(pause.since)} by the {pause.by}; run: paperboy resume"
    )


def provider_lines(providers: Sequence[ProviderLine]) -> list[str]:
    """Return a line for each provider that is slowed down or paused."""
    return [_provider(provider) for provider in providers]


def warm_up_lines(line: WarmUpLine | None) -> list[str]:
    """Return the day of a new domain's warm-up, and who waits for the next one."""
    if line is None:
        return []
    head = (
        f"Warm-up of {line.domain}: day {line.day} of {line.days} on which it sends,"
        f" up to {line.limit:,} mails to each provider."
    )
    until = f"until {moment(line.ends_at)}"
    return [head, *(f"Held for {p}: {counted(n, 'digest')} {until}." for p, n in line.held.items())]


def _provider(line: ProviderLine) -> str:
    reply = f": {line.last_reply}" if line.last_reply else ""
    if line.breaker != "closed":
        probe = f", tried again at {moment(line.probe_at)}" if line.probe_at else ""
        return f"{line.provider} is paused since {moment(line.since)}{probe}{reply}"
    limit = f"{line.rate:g} a second" if line.rate is not None else "watched"
    return f"{line.provider} at {limit} since {moment(line.since)}{reply}"


def gate_lines(gates: Sequence[GateLine]) -> list[str]:
    """Return a line for each closed gate, with the command that opens it."""
    return [
        f"{gate.host} answered {gate.reason} at {moment(gate.since)}: no request until "
        f"{moment(gate.until)}. When it is settled: paperboy reopen {gate.host}"
        for gate in gates
    ]


def story_lines(story: Story) -> list[str]:
    topics = "; ".join(map("{} ({})".format, story.topic_names, story.topics))
    topics = topics or "none: the day’s best papers"
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


def _delivery_lines(story: DeliveryStory) -> list[str]:
    from service.presentation.coverage import coverage_text

    reason = f": {story.reason}" if story.reason else ""
    edition = f" of the {story.cadence} edition {story.edition_id}" if story.edition_id else ""
    name = story.kind.replace("_", " ").capitalize()
    lines = [f"{name}{edition}: {story.state}{reason}"]
    if story.coverage:
        lines.append(f"  {coverage_text(story.coverage)}")
    if story.message_id:
        lines.append(f"  {story.message_id}")
    for topic, papers in groupby(story.papers, key=lambda paper: paper.topic):
        lines.append(f"  {topic}")
        lines += [line for paper in papers for line in _paper_lines(paper)]
    if story.cut:
        lines.append(f"  Cut for length: {', '.join(story.cut)}")
    if story.waits:
        lines.append(f"  {story.waits}")
    lines += [
        f"  Carries over papers of {_edition(name)}, whose mail is in doubt or was refused"
        for name in story.carried_from
    ]
    lines += [
        f"  {event.at:%Y-%m-%d %H:%M:%S} UTC, try {event.attempt}: {event.state} {event.detail}"
        f"{_route(event)}"
        for event in story.events
    ]
    lines += [f"  {_bounce_line(bounce)}" for bounce in story.bounces]
    if story.carried_into:
        lines.append(f"  Its papers were carried over into {_edition(story.carried_into)}")
    return lines


def _route(event: EventStory) -> str:
    """Return the SMTP phase in which a try ended without a reply to the message, and the relay."""
    phase = f"in phase {event.phase}" if event.phase not in {"", "replied"} else ""
    route = " ".join(filter(None, (phase, f"through {event.relay}" if event.relay else "")))
    return f" ({route})" if route else ""


def _edition(name: EditionName) -> str:
    return f"the {name.cadence} edition {name.edition_id} of {name.on}"


def _bounce_line(bounce: BounceStory) -> str:
    reply = " ".join(filter(None, (bounce.code, bounce.detail)))
    return f"{bounce.at:%Y-%m-%d %H:%M:%S} UTC, bounce by {bounce.source}: {bounce.verdict} {reply}"


def _paper_lines(paper: PaperStory) -> list[str]:
    seen = " (perhaps seen before)" if paper.is_maybe_seen else ""
    lines = [f"    {paper.key}  {paper.title}{seen}"]
    return [*lines, f"      {'; '.join(paper.reasons)}"] if paper.reasons else lines
