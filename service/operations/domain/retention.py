"""How long each kind of row is kept: one table, which docs/privacy.md shows and a task enforces."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from service.deliveries.domain.months import end_of

# A sign-up that nobody confirmed, after the last mail that asked for it.
UNCONFIRMED = timedelta(days=14)
# As long as the files of quarantined mails.
QUARANTINED = timedelta(days=30)
# A month that should have gone for longer than this is reported: a dump may take a night.
OVERDUE = timedelta(days=3)


class KeptDays(Protocol):
    """The settings of an operator: days for which rows that grow by delivery are kept."""

    @property
    def keep_events_days(self) -> int: ...
    @property
    def keep_copies_days(self) -> int: ...
    @property
    def keep_deliveries_days(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Term:
    """How long the rows of some tables are kept; `until` names settings in braces."""

    tables: tuple[str, ...]
    what: str
    until: str

    def until_by(self, kept: KeptDays) -> str:
        """Return `until` with the days in force."""
        return self.until.format(
            events=kept.keep_events_days,
            copies=kept.keep_copies_days,
            deliveries=kept.keep_deliveries_days,
            unconfirmed=UNCONFIRMED.days,
            quarantined=QUARANTINED.days,
        )


_FOR_EVER = "for ever"
_ERASED = "until the subscriber is erased"

# fmt: off
TERMS = (
    Term(("papers", "paper_identifiers", "paper_versions", "paper_events"), "papers, and what happened to them", _FOR_EVER),
    Term(("batches", "announcements"), "what was announced on which day", _FOR_EVER),
    Term(("signals",), "upvotes and stars of papers by day", _FOR_EVER),
    Term(("paper_meanings", "meaning_generations", "lexeme_counts", "probes"), "vectors and counts of words, by which similar papers are found", "as long as their papers or texts"),
    Term(("paper_changes",), "which papers changed, for caches", "2 days"),
    Term(("gates", "harvests"), "when a source may be asked next", "one row for each host or category"),
    Term(("subscribers", "topics", "consents", "opinions", "feed_keys"), "a subscriber with topics, consents, feedback with its tags and notes, and the key of the private feed", f"{_ERASED}; a sign-up that is not confirmed: {{unconfirmed}} days after the last mail that asked for it"),
    Term(("votes", "submissions"), "votes for papers, with a hash of the mailbox, the domain and the time of confirmation by which they are weighed; papers that were submitted", _ERASED),
    Term(("picks", "edition_notes"), "the operator’s choices, and notes for editions", _FOR_EVER),
    Term(("waiting_papers",), "papers of topics that wait for a later digest", f"until they come, four weeks at most; {_ERASED}"),
    Term(("topic_changes",), "topics changed by a link in a mail", _ERASED),
    Term(("pending_sign_ups",), "sign-ups of known addresses", "7 days, or until confirmed or withdrawn"),
    Term(("mail_requests",), "what a form asked for", "until it is settled, a moment later; its domain for an hour"),
    Term(("suppressions",), "keyed hashes of addresses that get no mail, with the reply that caused it, without the address", f"{_FOR_EVER}, or until released"),
    Term(("canonicals", "clauses"), "compiled topics, which lead to nobody", _FOR_EVER),
    Term(("deliveries",), "which mail was sent to whom, its papers, its fate", "{deliveries} days; digests: after the end of their month"),
    Term(("editions", "edition_papers", "edition_extras", "edition_revisions", "edition_chunks"), "editions and their papers", "as long as their digests"),
    Term(("delivery_events",), "each step of a delivery, with the reply", "{events} days; of digests: after the end of their month, so up to 61 days by default"),
    Term(("mail_copies", "mail_parts"), "copies of sent mails, to view in a browser", "{copies} days; of digests: after the end of their month"),
    Term(("bounce_events",), "bounces and complaints", "{deliveries} days, or until the subscriber is erased"),
    Term(("quarantined_mails",), "which mails could not be parsed; the mails are files", "{quarantined} days, the files, too"),
    Term(("webhook_tokens",), "tokens of webhook calls", "15 minutes"),
    Term(("paces",), "limits of mail providers", "until the limit is lifted"),
    Term(("warm_up_counts",), "what a new domain sent: counts of today, and its days", _FOR_EVER),
    Term(("sending_pauses",), "when all sending was paused, and by whom", _FOR_EVER),
    Term(("installations", "restores"), "the installation’s name, and when it was restored", _FOR_EVER),
    Term(("alembic_version",), "the version of these tables", _FOR_EVER),
)
# fmt: on


def is_over(month: int, days: int, now: datetime) -> bool:
    """Return whether all days of a month are more than this many days past."""
    return end_of(month) + timedelta(days=days) <= now


def is_overdue(month: int, kept: KeptDays, now: datetime) -> bool:
    """Return whether a month is still there that should have been dropped days ago."""
    return is_over(month, kept.keep_deliveries_days, now - OVERDUE)
