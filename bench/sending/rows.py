"""A frozen edition for `send.py`: real papers, invented subscribers, digests of about 30 kB."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

ROOT = Path(__file__).resolve().parents[2]
# The invented subscribers are those of the tests.
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.mail.made_digests import MORNING, Day, make_claims, make_day, read_papers  # noqa: E402  # the path must come first

from service.deliveries.domain.digest_json import digest_from_json  # noqa: E402
from service.deliveries.domain.recipients import Cadence  # noqa: E402
from service.deliveries.store.claimed_rows import Claim  # noqa: E402
from service.deliveries.store.deliveries import DigestRow, insert_digests  # noqa: E402
from service.editions.domain.states import EditionState  # noqa: E402
from service.editions.store.editions import insert_edition  # noqa: E402
from service.editions.store.models import Edition  # noqa: E402
from service.papers.domain.types import PaperView  # noqa: E402

PAPERS_A_DAY = 1_600
TOPICS = 300
# Six papers make a message of 28 to 30 kB.
PAPERS_A_DIGEST = 6
_CHUNK = 5_000
_PAPER_COLUMNS = (
    "id, key, source, identifier, version, title, title_raw, abstract, abstract_raw, authors,"
    " author_keys, categories, primary_category, url, first_announced_on, first_announced_at,"
    " announced_as, created_at, updated_at"
)
_SUBSCRIBER_COLUMNS = (
    "id, email, email_key, state, cadence, hour, timezone, created_at, confirmed_at, locale"
)


def store_day(sessions: sessionmaker[Session], folder: Path) -> Day:
    """Store the papers of one day in an empty schema."""
    day = make_day(read_papers(folder, PAPERS_A_DAY), TOPICS)
    with sessions.begin() as session:
        _copy(session, f"papers ({_PAPER_COLUMNS})", map(_paper_row, day.papers.values()))
    return day


def store_edition(
    sessions: sessionmaker[Session], day: Day, subscribers: int, seed: int = 1
) -> int:
    """Store a frozen edition with a due digest for each of new `subscribers`; return its id."""
    with sessions.begin() as session:
        taken = _count(session, "subscribers")
        cadence = list(Cadence)[_count(session, "editions")]
        edition = insert_edition(session, cadence, MORNING.date(), MORNING, sends_now=False)
        assert edition is not None
        edition_id = edition.id
    for start in range(0, subscribers, _CHUNK):
        claims = make_claims(day, min(_CHUNK, subscribers - start), PAPERS_A_DIGEST, seed + start)
        with sessions.begin() as session:
            _store_chunk(session, edition_id, claims, taken + start)
    coverage = {"announced": len(day.papers), "checked": len(day.papers), "is_complete": True}
    with sessions.begin() as session:
        session.execute(
            update(Edition)
            .where(Edition.id == edition_id)
            .values(
                state=EditionState.FROZEN,
                frozen_at=MORNING,
                candidate_count=subscribers,
                coverage=coverage,
            )
        )
    with sessions.kw["bind"].connect().execution_options(isolation_level="AUTOCOMMIT") as direct:
        direct.exec_driver_sql("VACUUM (ANALYZE)")
    return edition_id


def _store_chunk(session: Session, edition_id: int, claims: Sequence[Claim], taken: int) -> None:
    ids = {claim.id: taken + claim.id for claim in claims}
    _copy(
        session, f"subscribers ({_SUBSCRIBER_COLUMNS})", (_subscriber_row(i) for i in ids.values())
    )
    topics = (
        (ids[claim.id], title.strip('"'), title, title.strip('"'), place, MORNING)
        for claim in claims
        for place, title in enumerate(_titles(claim))
    )
    columns = "subscriber_id, name, query, canonical, position, created_at"
    _copy(session, f"topics ({columns})", topics)
    rows = [_digest_row(claim, ids[claim.id]) for claim in claims]
    insert_digests(session, edition_id, rows, MORNING)


def _titles(claim: Claim) -> list[str]:
    digest = digest_from_json(claim.delivery.digest)
    return [group.title for group in digest.groups]


def _digest_row(claim: Claim, subscriber_id: int) -> DigestRow:
    return DigestRow(
        subscriber_id=subscriber_id,
        due_at=MORNING,
        send_not_after=MORNING.replace(year=MORNING.year + 10),
        paper_ids=tuple(claim.delivery.paper_ids),
        digest=claim.delivery.digest,
    )


def _paper_row(paper: PaperView) -> tuple[object, ...]:
    return (
        paper.id, paper.key, paper.source, paper.identifier, 1, paper.title, paper.title,
        paper.abstract, paper.abstract, list(paper.authors), [], list(paper.categories),
        paper.primary_category, paper.url, MORNING.date(), MORNING, "new", MORNING, MORNING,
    )  # fmt: skip


def _subscriber_row(number: int) -> tuple[object, ...]:
    email = f"reader{number}@example.org"
    return (number, email, email, "active", "daily", 7, "UTC", MORNING, MORNING, "")


def _copy(session: Session, target: str, rows: Iterator[tuple[object, ...]]) -> None:
    driver: Any = session.connection().connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _count(session: Session, table: str) -> int:
    count = session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()  # noqa: S608
    return int(count)
