"""Publish: open an edition, compose every subscriber's digest, freeze, count.

Publishing is idempotent: the edition is unique by (cadence, local date), a paper by
(cadence, paper), a chunk by its row's lock, a digest by (edition, subscriber).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.months import month_of
from service.deliveries.domain.recipients import Cadence
from service.deliveries.store.carry_over import carry_doubts_of_editions
from service.deliveries.store.deliveries import make_due
from service.deliveries.store.months import make_month
from service.editions.compose import compose_chunk
from service.editions.coverage import day_statuses
from service.editions.domain.schedule import awaited_days, editions_due, makes_up, newest_due
from service.editions.edition_cache import EditionCache
from service.editions.prepare import list_candidates, prepare_edition
from service.editions.store import editions as store
from service.editions.store.chunks import open_chunks, plan_chunks
from service.editions.store.uptime import find_back_at, note_running
from service.platform.database.engine import BULK_SECONDS, limit_time, log_on_commit, transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.similarity.embed_papers import learn_papers
from service.subscribers.store.candidates import read_cadences, resume_paused

CHUNK_SIZE = 1000

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """Options: `sends_now` ignores the subscribers' hours; `chunk_size` is per transaction."""

    sends_now: bool = False
    chunk_size: int = CHUNK_SIZE


SCHEDULED = Opening()


def came_back(sessions: sessionmaker[Session], now: datetime) -> bool:
    """Note that the service runs at `now`; return whether it was down and has missed editions.

    True once, at the first call after it was down: then the days that it missed are to be read.
    """
    with transaction(sessions) as session:
        newest, read = store.newest_dates(session), read_cadences(session)
        is_back = note_running(session, now) == now
        due = newest_due(now, newest, read)
        return is_back and any(makes_up(c, on, newest.get(c), now) for c, on in due.items())


def open_due_editions(
    sessions: sessionmaker[Session], settings: Settings, now: datetime, opening: Opening = SCHEDULED
) -> list[int]:
    """Open the editions that are due at `now`; return the ids of the chunks to compose."""
    with transaction(sessions) as session:
        newest, read = store.newest_dates(session), read_cadences(session)
        awaited = {
            day
            for cadence, on in newest_due(now, newest, read).items()
            for day in awaited_days(cadence, on, newest.get(cadence), now)
        }
        batches = [b for day in sorted(awaited) for b in day_statuses(session, day, settings)]
        due = editions_due(now, batches, newest, find_back_at(session), read)
    return [
        chunk
        for cadence, local_date in due
        for chunk in open_edition(sessions, settings, cadence, local_date, now, opening)
    ]


def open_edition(
    sessions: sessionmaker[Session],
    settings: Settings,
    cadence: Cadence,
    on: date,
    now: datetime,
    opening: Opening = SCHEDULED,
) -> list[int]:
    """Open the edition with its papers and chunks, in one transaction; return the chunks' ids.

    The list is empty where the edition exists already.
    """
    with transaction(sessions) as session:
        candidates = list_candidates(session, cadence, on)
    with transaction(sessions) as session:
        # By itself, because it locks out all who write subscribers until its end.
        make_month(session, month_of(now))
    # Before the next transaction opens; most papers were embedded when they came in.
    learn_papers(sessions, settings, candidates)
    with transaction(sessions) as session:
        limit_time(session, BULK_SECONDS)
        resumed = resume_paused(session, on)
        if resumed:
            log_on_commit(session, log, "resume", subscribers=resumed)
        edition = store.insert_edition(session, cadence, on, now, sends_now=opening.sends_now)
        if edition is None:
            return []
        if settings.in_doubt == "carry":
            carry_doubts_of_editions(session, store.other_editions(edition), now)
        prepare_edition(session, settings, edition, now)
        chunks = plan_chunks(session, edition, opening.chunk_size)
    with transaction(sessions) as session:
        store.freeze_if_composed(session, edition.id, now)
    return chunks


def pending_chunks(sessions: sessionmaker[Session]) -> list[int]:
    """Return the uncomposed chunks of open editions, whose wake-up task may have been lost."""
    with transaction(sessions) as session:
        editions = store.list_open(session)
        return [chunk for edition in editions for chunk in open_chunks(session, edition.id)]


def publish_now(
    sessions: sessionmaker[Session],
    settings: Settings,
    cadence: Cadence,
    on: date,
    now: datetime,
    on_chunk: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """Open, compose and freeze an edition in this process; return its id.

    An edition that is open already (another process, or one that died) is finished, not repeated.
    """
    open_edition(sessions, settings, cadence, on, now, Opening(sends_now=True))
    with transaction(sessions) as session:
        edition = store.find_edition(session, cadence, on)
        if edition is None:
            raise LookupError(f"the {cadence} edition of {on} was deleted meanwhile")
        chunks = open_chunks(session, edition.id)
    cache = EditionCache()
    for number, chunk_id in enumerate(chunks):
        compose_chunk(sessions, settings, chunk_id, now, cache)
        on_chunk(number + 1, len(chunks))
    with transaction(sessions) as session:
        store.freeze_if_composed(session, edition.id, now)
    return edition.id


def force_due(sessions: sessionmaker[Session], edition_id: int, now: datetime) -> int:
    """Make an edition's waiting digests due now instead of at their hour; return how many."""
    with transaction(sessions) as session:
        return make_due(session, edition_id, now)


def finish_open_editions(sessions: sessionmaker[Session], now: datetime) -> None:
    """Freeze editions whose chunks are all composed, in case the process that did it died."""
    with transaction(sessions) as session:
        for edition in store.list_open(session):
            store.freeze_if_composed(session, edition.id, now)
