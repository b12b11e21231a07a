"""Celery tasks: each calls one action and enqueues the next. None is longer than twelve lines."""

from datetime import timedelta
from functools import partial

from service.bounces.inbound.mailbox import MailboxUnavailable
from service.bounces.quarantine import delete_old_files
from service.bounces.record import fetch_bounce_mailbox, settle_bounces
from service.deliveries.alerts import report_mailbox
from service.editions.compose import compose_chunk
from service.operations.daily_report import queue_report
from service.operations.monitoring import report_troubles as report_all
from service.operations.retention import apply_retention as keep_as_promised
from service.papers.arxiv_backfill import forget_changes, heal_arxiv
from service.papers.complete_stubs import complete_stubs
from service.papers.ingest import failed_last, ingest_source, refresh_lists
from service.papers.sources.biorxiv import Biorxiv
from service.papers.trends import own_signals, refresh_recent_trends
from service.platform.queue import wake_senders
from service.sending.deliver import deliver_for
from service.sending.deliver import sweep as sweep_left
from service.sending.restore_guard import alerting_restored, refuse_restored
from service.sending.store.claim import Scope
from service.similarity.embed_papers import count_lexemes
from service.similarity.embed_papers import learn_meanings as learn_some
from service.subscribers.settle_requests import MOST_AT_ONCE
from service.subscribers.settle_requests import settle_requests as settle_waiting
from service.subscribers.settle_submissions import settle_submissions as settle_submitted
from service.topics.compile_topics import compile_topics
from service.topics.like_clauses import prepare_like_queries
from service.topics.like_queries import renew_like_queries
from workers.app import app, process
from workers.openings import open_what_is_due

# Other tasks wait for a running one, so `deliver` ends after this long and enqueues itself.
LONGEST_DELIVER = timedelta(seconds=60)
# Shorter, so that a thousand confirmations leave room for what is in their queue with them.
LONGEST_URGENT = timedelta(seconds=5)
# A new archive is learned in several tasks, each within its time limit at ten papers a second.
LEARNED_AT_ONCE = 10_000


@app.task(name="paperboy.ingest")
def ingest(source_name: str) -> None:
    """Fetch today's batches of a source (`journal`: all journals) that are not complete yet."""
    here = process.runtime
    for source in failed_last(here.sessions, here.sources, here.clock()):
        if source_name in {source.name, source.name.partition(".")[0]}:
            ingest_source(here.sessions, here.settings, source, None, here.clock())
            here.enqueue("learn_meanings")
            here.enqueue("open_editions")


@app.task(name="paperboy.heal")
def heal() -> None:
    """Fetch the last days again, for late papers, withdrawals and new signals."""
    here = process.runtime
    if here.oai is not None and "arxiv" in here.settings.sources:
        heal_arxiv(here.sessions, here.settings, here.oai, here.clock())
    if here.api is not None:
        complete_stubs(here.sessions, here.api, here.clock())
    refresh_lists(here.sessions, here.settings, here.sources, here.clock())
    refresh_recent_trends(here.sessions, here.clock(), own_signals(here.settings))
    forget_changes(here.sessions)


@app.task(name="paperboy.learn_meanings")
def learn_meanings() -> None:
    """Compute vectors of new papers, and recompile topics and like queries that depend on them."""
    here = process.runtime
    learned = learn_some(here.sessions, here.settings, LEARNED_AT_ONCE)
    count_lexemes(here.sessions, here.settings)
    compile_topics(here.sessions)
    prepare_like_queries(here.sessions, here.settings)
    is_more_to_do = renew_like_queries(here.sessions, here.settings) or learned == LEARNED_AT_ONCE
    if is_more_to_do:
        here.enqueue("learn_meanings")


@app.task(name="paperboy.open_editions")
def open_editions() -> None:
    """Open the editions that are due, enqueue their chunks, and compose catch-up mails."""
    here = process.runtime
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        # An edition that was sent before is not made again until it is known what was sent.
        refuse_restored(here.sessions, here.settings, here.clock())
        open_what_is_due(here)


@app.task(name="paperboy.compose")
def compose(chunk_id: int) -> None:
    """Compose one chunk of subscribers, and enqueue sending where it was the edition's last."""
    here = process.runtime
    if compose_chunk(here.sessions, here.settings, chunk_id, here.clock(), here.editions):
        here.enqueue("deliver")


@app.task(name="paperboy.settle_requests")
def settle_requests() -> None:
    """Queue the mails that forms asked for, and enqueue sending."""
    here = process.runtime
    settled = settle_waiting(here.sessions, here.settings, here.clock())
    if settled:
        here.enqueue("deliver_urgent")
    if settled == MOST_AT_ONCE:
        here.enqueue("settle_requests")


@app.task(name="paperboy.settle_submissions")
def settle_submissions() -> None:
    """Look up the papers that readers submitted, and learn from those that are new."""
    here = process.runtime
    preprints = [source for source in here.sources if isinstance(source, Biorxiv)]
    now = here.clock()
    if settle_submitted(here.sessions, here.settings, here.api, preprints, now):
        here.enqueue("learn_meanings")


@app.task(name="paperboy.deliver")
def deliver() -> None:
    """Send due digests, and an import's mails, for a minute, with every process that is idle."""
    here = process.runtime
    here.editions.forget_frozen(here.sessions)
    wake = partial(here.enqueue, "deliver")
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        deliver_for(here.sender, LONGEST_DELIVER, process.is_ending, Scope.OTHERS, wake)


@app.task(name="paperboy.deliver_urgent")
def deliver_urgent() -> None:
    """Send due mail of no edition for some seconds; again if anything was sent."""
    here = process.runtime
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        if deliver_for(here.sender, LONGEST_URGENT, process.is_ending, Scope.URGENT).total:
            here.enqueue("deliver_urgent")


@app.task(name="paperboy.sweep")
def sweep() -> None:
    """Requeue what dead senders left behind, and enqueue sending if there is any."""
    here = process.runtime
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        # Rows of a restored backup are not new work.
        refuse_restored(here.sessions, here.settings, here.clock())
        requeued, _ = sweep_left(here.sessions, here.clock())
        if requeued:
            wake_senders(here.enqueue)


@app.task(name="paperboy.bounces")
def bounces() -> None:
    """Settle bounces that arrived before their delivery was recorded, and read the mailbox."""
    here = process.runtime
    settle_bounces(here.sessions, here.clock())
    delete_old_files(here.settings, here.clock())
    try:
        fetch_bounce_mailbox(here.sessions, here.settings, here.clock)
    except MailboxUnavailable as error:
        report_mailbox(here.sessions, here.settings, str(error), here.clock())


@app.task(name="paperboy.report_troubles")
def report_troubles() -> None:
    """Queue one mail to the operator for each new problem, and enqueue sending."""
    here = process.runtime
    if report_all(here.sessions, here.settings, here.clock()):
        here.enqueue("deliver_urgent")


@app.task(name="paperboy.report_day")
def report_day() -> None:
    """Queue the operator's report of the last day, once a day, and enqueue sending."""
    here = process.runtime
    if queue_report(here.sessions, here.settings, here.clock()):
        here.enqueue("deliver_urgent")


@app.task(name="paperboy.apply_retention")
def apply_retention() -> None:
    """Make the months to come, and delete what is older than docs/privacy.md says."""
    here = process.runtime
    keep_as_promised(here.sessions, here.settings, here.clock())
