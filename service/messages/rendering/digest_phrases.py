"""Phrases about a digest or one of its papers, used as template filters."""

from service.deliveries.domain.digest import NEWEST_TITLE, TRENDING_TITLE
from service.deliveries.domain.recipients import Cadence
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestUpdate
from service.papers.domain.paper_order import MOST_WITHOUT_TOPICS
from service.papers.domain.types import AnnounceType, PaperEventKind, PaperView
from service.presentation.dates import short_date
from service.presentation.excerpts import Excerpts, read_excerpts
from service.presentation.highlight import first_sentences, shorten
from service.presentation.phrases import count_of, span_name, topic_title
from service.presentation.sanitize import safe_url

_LONGEST_SUBJECT_TOPIC = 50
_NEW = "new"
_AT_MOST = f"at most {MOST_WITHOUT_TOPICS}"


def subject_topic(mail: DigestContext) -> str:
    """Return the topics for the subject where they are short enough, otherwise an empty string."""
    titles = [topic_title(group.title) for group in mail.groups]
    if {TRENDING_TITLE, NEWEST_TITLE} & {*titles}:
        return ""
    subject = " and ".join(titles)
    if 1 <= len(titles) <= 2 and len(subject) <= _LONGEST_SUBJECT_TOPIC:
        return subject
    if len(titles) > 1 and len(titles[0]) <= _LONGEST_SUBJECT_TOPIC // 2:
        return f"{titles[0]} and {count_of(len(titles) - 1, 'other topic')}"
    return ""


def nothing_line(mail: DigestContext) -> str:
    """Return the sentence of a digest without papers: nothing new, nothing new so far, or not read."""
    if mail.silence:
        return mail.silence
    if mail.waits:
        return "Nothing comes now: what is new on your topics waits for a later digest."
    when = "in these days" if mail.covers else "today"
    if mail.cadence.collects_days:
        when = f"this {span_name(mail.cadence)}"
    matched = " matches your topics" if mail.topics else ""
    if mail.coverage.is_complete:
        return f"Nothing new{matched} {when}."
    return f"Nothing new{matched} so far: some papers had not arrived when this was sent."


def best_line(title: str, cadence: Cadence) -> str:
    """Return how the papers of a digest without topics were chosen; `title` is its group's."""
    if title == NEWEST_TITLE:
        return (
            f"You chose no topics. No paper has upvotes yet, so these are the newest, {_AT_MOST}."
        )
    return f"You chose no topics, so you get the {span_name(cadence)}’s best papers by upvotes, {_AT_MOST}."


_UPDATE_LABELS = {
    PaperEventKind.WITHDRAWN: "withdrawn",
    PaperEventKind.REVISED: "substantially revised",
    PaperEventKind.PUBLISHED: "published",
    PaperEventKind.CODE: "code released",
}


def update_label(update: DigestUpdate) -> str:
    """Return what happened to a paper, in a few words: `substantially revised (v3)`."""
    label = _UPDATE_LABELS[update.kind]
    has_detail = update.detail and update.kind is not PaperEventKind.CODE
    return f"{label} ({shorten(update.detail, 80)})" if has_detail else label


def facts(entry: DigestPaper) -> tuple[str, ...]:
    """Return the labels of the byline: kind of announcement, withdrawn, late, upvotes, code."""
    paper = entry.paper
    labels = []
    if paper.is_withdrawn:
        labels.append("withdrawn")
    if paper.announced_as in {AnnounceType.CROSS, AnnounceType.REPLACE_CROSS}:
        labels.append(f"cross-listed from {paper.primary_category}")
    is_plain = not (paper.is_withdrawn or paper.is_late or entry.maybe_seen or entry.revision)
    if is_plain and paper.announced_as is AnnounceType.NEW:
        labels.append(_NEW)
    if entry.revision:
        labels.append(f"revised: v{entry.revision}")
    elif not paper.announced_as.is_first:
        labels.append(f"updated to version {paper.version}")
    if paper.is_late:
        labels.append(f"late, announced {short_date(paper.announced_on)}")
    if entry.maybe_seen:
        labels.append("you may have seen this")
    if paper.upvotes > 0:
        labels.append(f"▲\u00a0{paper.upvotes:,}")
    if safe_url(paper.github_url):
        labels.append("code")
    return tuple(labels)


def brief_facts(entry: DigestPaper) -> str:
    """Return ` · revised: v3 · code`, what a line says after its title; empty for a new paper.

    No line breaks before a dot.
    """
    return "".join(f"\u00a0· {fact}" for fact in facts(entry) if fact != _NEW)


def excerpt(entry: DigestPaper, limit: int) -> str:
    """Return the excerpt of a paper where no word is quoted, in at most `limit` characters."""
    return excerpts_of(entry.paper, limit).show()


def excerpts_of(paper: PaperView, limit: int) -> Excerpts:
    """Return the AI summary of Hugging Face as the only excerpt, or those of the abstract."""
    if not paper.summary:
        return read_excerpts(paper.title, paper.abstract, limit)
    summary = first_sentences(paper.summary, limit)
    return Excerpts((summary,), (0,), limit) if summary else Excerpts((), (), limit)
