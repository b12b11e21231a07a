"""The log lines of the service's processes, and what no line may hold."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.models import BounceEvent
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery, DeliveryEvent
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.papers.store.models import Batch
from service.subscribers.store.models import Suppression

# A token of a link, and an address with more than the first letter before the @.
SECRET_PATTERNS = (r"Wz[\w-]{6,}\.[\w-]{20,}", r"[\w.+-]{2,}@[\w-]+\.")

Line = dict[str, Any]


def read_lines(*paths: Path) -> list[Line]:
    """Return the lines of log files; each must be a JSON object that names its event."""
    lines = [json.loads(text) for path in paths for text in path.read_text().splitlines()]
    assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
    return lines


def named(lines: Iterable[Line], event: str, **values: object) -> list[Line]:
    """Return the lines of an event with these values."""
    wanted = {"event": event, **values}
    return [line for line in lines if all(line.get(k) == v for k, v in wanted.items())]


def assert_no_secret(*paths: Path, secrets: Sequence[str] = ()) -> None:
    for path in paths:
        text = path.read_text()
        for pattern in (*SECRET_PATTERNS, *map(re.escape, secrets)):
            found = re.search(pattern, text)
            assert found is None, (path, found)


def assert_log_equals_rows(lines: Sequence[Line], sessions: sessionmaker[Session]) -> None:
    """Compare the log of one worker, which did everything, with the rows that it left."""
    with sessions() as session:
        _compare_batches(lines, session)
        _compare_editions(lines, session)
        _compare_deliveries(lines, session)
        bounces = Counter(
            (row.delivery_id, row.verdict) for row in session.scalars(select(BounceEvent))
        )
        suppressed = session.scalars(select(Suppression.reason)).all()
    logged = named(lines, "bounce", outcome="recorded")
    assert Counter((line["delivery_id"], line["verdict"]) for line in logged) == bounces
    reasons = Counter(line["reason"] for line in named(lines, "suppressed"))
    assert reasons == Counter(map(str, suppressed))


def _compare_batches(lines: Sequence[Line], session: Session) -> None:
    last = {
        (line["source"], line["category"], line["date"]): line["state"]
        for line in lines
        if line["event"] in {"ingest", "batch"}
    }
    rows = session.scalars(select(Batch)).all()
    assert rows
    assert last == {(b.source, b.category, str(b.announced_on)): b.state for b in rows}


def _compare_editions(lines: Sequence[Line], session: Session) -> None:
    rows = session.scalars(select(Edition)).all()
    assert rows
    for row in rows:
        on = str(row.local_date)
        assert len(named(lines, "edition.opened", edition_id=row.id, date=on)) == 1
        frozen = named(lines, "edition.frozen", edition_id=row.id)
        assert [line["candidates"] for line in frozen] == [row.candidate_count]
        closed = len(named(lines, "edition.closed", edition_id=row.id))
        reopened = len(named(lines, "edition.reopened", edition_id=row.id))
        assert closed - reopened == (row.state is EditionState.CLOSED)


def _compare_deliveries(lines: Sequence[Line], session: Session) -> None:
    """Compare each row's last state, and the number of times that it entered each state."""
    rows = session.scalars(select(Delivery)).all()
    states = {row.id: DeliveryState.QUEUED for row in rows}
    entered: Counter[tuple[int, str]] = Counter()
    skipped = {
        (line["edition_id"], subscriber_id)
        for line in named(lines, "compose")
        for subscriber_id in line["skipped_subscriber_ids"]
    }
    for line in named(lines, "delivery"):
        for number in line["delivery_ids"]:
            states[number] = line["state"]
            entered[number, line["state"]] += 1
    for row in rows:
        if (row.edition_id, row.subscriber_id) in skipped:
            states[row.id] = DeliveryState.SKIPPED
    assert states == {row.id: row.state for row in rows}
    events = session.scalars(select(DeliveryEvent)).all()
    accepted = Counter((row.id, str(DeliveryState.SENT)) for row in rows if row.sent_at)
    changes = Counter((event.delivery_id, str(event.state)) for event in events)
    assert entered == changes + accepted
    queued = {line["delivery_id"] for line in named(lines, "mail.queued")}
    assert queued == {row.id for row in rows if row.edition_id is None}
    composed = sum(line["queued"] + line["skipped"] for line in named(lines, "compose"))
    assert composed == sum(row.edition_id is not None for row in rows)
