"""Phrases that need a digest's context."""

from service.deliveries.domain.digest import TRENDING_TITLE
from service.deliveries.domain.recipients import Cadence
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestUpdate
from service.papers.domain.types import AnnounceType, PaperEventKind
from service.presentation.dates import short_date
from service.presentation.highlight import first_sentences, shorten
from service.presentation.phrases import count_of, topic_title
from service.presentation.sanitize import safe_url

_LONGEST_SUBJECT_TOPIC = 50


def subject_topic(mail: DigestContext) -> str:
    """What the subject can name in a few words: the only topic, two short ones, or nothing."""
    titles = [topic_title(group.title) for group in mail.groups]
    if TRENDING_TITLE in titles:
        return ""
    said = " and ".join(titles)
    if 1 <= len(titles) <= 2 and len(said) <= _LONGEST_SUBJECT_TOPIC:
        return said
    if len(titles) > 1 and len(titles[0]) <= _LONGEST_SUBJECT_TOPIC // 2:
        return f"{titles[0]} and {count_of(len(titles) - 1, 'other topic')}"
    return ""


def nothing_line(mail: DigestContext) -> str:
    """What a digest without papers says; never that there is nothing where not all was looked at."""
    when = "this week" if mail.cadence is Cadence.WEEKLY else "today"
    matched = "matches your topics" if mail.topics else "was noted by other readers"
    if mail.coverage.is_complete:
        return f"Nothing new {matched} {when}."
    return f"Nothing new {matched} so far: not all papers were in when this was sent."


_UPDATE_LABELS = {
    PaperEventKind.WITHDRAWN: "withdrawn",
    PaperEventKind.REVISED: "substantially revised",
    PaperEventKind.PUBLISHED: "published",
    PaperEventKind.CODE: "code released",
}


def update_label(update: DigestUpdate) -> str:
    """What happened to a paper, in two or three words: `substantially revised (v3)`."""
    said = _UPDATE_LABELS[update.kind]
    tells = update.detail and update.kind is not PaperEventKind.CODE
    return f"{said} ({shorten(update.detail, 80)})" if tells else said


def facts(entry: DigestPaper) -> tuple[str, ...]:
    """What else a reader should know at a glance: how it came here, and what others think."""
    paper = entry.paper
    said = []
    if paper.is_withdrawn:
        said.append("withdrawn")
    if paper.announced_as in {AnnounceType.CROSS, AnnounceType.REPLACE_CROSS}:
        said.append(f"cross-listed from {paper.primary_category}")
    is_plain = not (paper.is_withdrawn or paper.is_late or entry.maybe_seen or entry.revision)
    if is_plain and paper.announced_as is AnnounceType.NEW:
        said.append("new")
    if entry.revision:
        said.append(f"revised: v{entry.revision}")
    elif not paper.announced_as.is_first:
        said.append(f"updated to version {paper.version}")
    if paper.is_late:
        said.append(f"late, announced {short_date(paper.announced_on)}")
    if entry.maybe_seen:
        said.append("you may have seen this")
    if paper.upvotes > 0:
        said.append(f"▲\u00a0{paper.upvotes:,}")
    if safe_url(paper.github_url):
        said.append("code")
    return tuple(said)


def excerpt(entry: DigestPaper, limit: int) -> str:
    """The source's own summary, or the first sentences of the abstract, in `limit` characters."""
    return first_sentences(entry.paper.summary or entry.paper.abstract, limit)
