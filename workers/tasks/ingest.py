"""Tasks of the queue that reads what strangers wrote, or waits for their hosts."""

import workers.sources  # noqa: F401  # before the processes are forked, which then share it
from service.bounces.inbound.mailbox import MailboxUnavailable
from service.bounces.quarantine import delete_old_files
from service.bounces.record import fetch_bounce_mailbox, settle_bounces
from service.deliveries.alerts import report_mailbox
from service.operations.daily_report import queue_report
from service.operations.monitoring import report_troubles as report_all
from service.operations.retention import apply_retention as keep_as_promised
from service.papers.arxiv_backfill import forget_changes, heal_arxiv
from service.papers.complete_stubs import complete_stubs
from service.papers.ingest import failed_last, ingest_source, refresh_lists
from service.papers.sources.biorxiv import Biorxiv
from service.papers.trends import own_signals, refresh_recent_trends
from service.subscribers.settle_submissions import settle_submissions as settle_submitted
from workers.app import app, process


@app.task(name="paperboy.ingest")
def ingest(source_name: str) -> None:
    """Fetch today's batches of a source (`journal`: all journals) that are not complete yet."""
    here = process.runtime
    for source in failed_last(here.sessions, here.sources.all, here.clock()):
        if source_name in {source.name, source.name.partition(".")[0]}:
            ingest_source(here.sessions, here.settings, source, None, here.clock())
            here.enqueue("learn_meanings")
            here.enqueue("open_editions")


@app.task(name="paperboy.heal")
def heal() -> None:
    """Fetch the last days again, for late papers, withdrawals and new signals."""
    here = process.runtime
    sources = here.sources
    if sources.oai is not None and "arxiv" in here.settings.sources:
        heal_arxiv(here.sessions, here.settings, sources.oai, here.clock())
    if sources.api is not None:
        complete_stubs(here.sessions, sources.api, here.clock())
    refresh_lists(here.sessions, here.settings, sources.all, here.clock())
    refresh_recent_trends(here.sessions, here.clock(), own_signals(here.settings))
    forget_changes(here.sessions)


@app.task(name="paperboy.settle_submissions")
def settle_submissions() -> None:
    """Look up the papers that readers submitted, and learn from those that are new."""
    here = process.runtime
    preprints = [source for source in here.sources.all if isinstance(source, Biorxiv)]
    now = here.clock()
    if settle_submitted(here.sessions, here.settings, here.sources.api, preprints, now):
        here.enqueue("learn_meanings")


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
