"""The small texts of a mail: dates, bylines, marks, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from service.deliveries.domain.digest import TRENDING_TITLE
from service.deliveries.domain.recipients import Cadence
from service.messages.contexts.digest import Coverage, DigestContext, DigestHappening, DigestPaper
from service.papers.domain.categories import category_name
from service.papers.domain.types import AnnounceType, Paper, PaperEventKind
from service.presentation.dates import day_name, short_date
from service.presentation.highlight import first_sentences, shorten
from service.presentation.sanitize import safe_url
from service.topics.domain.types import Reason

_LONGEST_NAME = 80
_LONGEST_TOPIC = 80
_LONGEST_HEADING = 160
_QUOTES = {*'"“”'}
_LONGEST_SUBJECT_TOPIC = 50
_LONGEST_WORDS = 80
_MOST_REASONS = 4
_MOST_WORDS = 4
_MOST_FIELDS = 2
_MOST_AUTHORS = 3
_MOST_TOPICS = 12
_MOST_MUTES = 2


def count_of(number: int, noun: str) -> str:
    """`1 paper`, `1,204 papers`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def thousands(number: int) -> str:
    """`1,204`."""
    return f"{number:,}"


def is_more_than(things: Sequence[object], number: int) -> bool:
    """Whether there are more than `number`."""
    return len(things) > number


def beyond(things: Sequence[object], number: int) -> int:
    """How many there are beyond the first `number`."""
    return max(len(things) - number, 0)


def say(first: object, *others: object) -> str:
    """All of it in a row, as one text: what `~` does, but fit for a frame (see `opened`)."""
    return "".join(map(str, (first, *others)))


def below(home: str, path: str) -> str:
    """The address of a page below our own."""
    return f"{home.rstrip('/')}/{path}"


_HOW_OFTEN = {
    Cadence.DAILY: "every day",
    Cadence.WEEKDAYS: "every weekday",
    Cadence.WEEKLY: "once a week",
}


def how_often(cadence: Cadence) -> str:
    """`every weekday`."""
    return _HOW_OFTEN[cadence]


def clock(hour: int) -> str:
    """An hour of the day as readers write it: `7:00`."""
    return f"{hour}:00"


@lru_cache(maxsize=4_096)
def topic_title(title: str) -> str:
    """A topic as a heading: one line, and a topic that is one phrase without its quotes."""
    title = " ".join(title.split())
    if (
        len(title) > 2
        and title[0] in _QUOTES
        and title[-1] in _QUOTES
        and not _QUOTES & {*title[1:-1]}
    ):
        title = title[1:-1]
    return shorten(title, _LONGEST_HEADING)


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


def coverage_line(coverage: Coverage) -> str:
    """`412 of 412 announced papers checked · 3 late from Tuesday`."""
    said = f"{coverage.checked:,} of {count_of(coverage.announced, 'announced paper')} checked"
    if not coverage.is_complete:
        said += ", not all of the day"
    if coverage.late:
        said += f" · {_late_line(coverage)}"
    return said


def _late_line(coverage: Coverage) -> str:
    """`3 late from Tuesday and 1 from Wednesday`; older than a week, or many days: no names."""
    days = coverage.late_days
    if not days or len(days) > 3 or (days[-1][0] - days[0][0]).days > 5:
        return f"{coverage.late:,} late from earlier days"
    named = [
        f"{count:,} {'late ' * (not n)}from {day_name(on)}" for n, (on, count) in enumerate(days)
    ]
    return " and ".join(named)


def nothing_line(mail: DigestContext) -> str:
    """What a digest without papers says; never that there is nothing where not all was looked at."""
    when = "this week" if mail.cadence is Cadence.WEEKLY else "today"
    matched = "matches your topics" if mail.topics else "was noted by other readers"
    if mail.coverage.is_complete:
        return f"Nothing new {matched} {when}."
    return f"Nothing new {matched} so far: not all papers were in when this was sent."


_BEFELL = {
    PaperEventKind.WITHDRAWN: "withdrawn",
    PaperEventKind.REVISED: "substantially revised",
    PaperEventKind.PUBLISHED: "published",
    PaperEventKind.CODE: "code released",
}


def befell(happening: DigestHappening) -> str:
    """What happened to a paper, in two or three words: `substantially revised (v3)`."""
    said = _BEFELL[happening.kind]
    tells = happening.detail and happening.kind is not PaperEventKind.CODE
    return f"{said} ({shorten(happening.detail, 80)})" if tells else said


@dataclass(frozen=True, slots=True)
class Byline:
    """The first authors and how many `more` there are."""

    names: tuple[str, ...]
    more: int


def byline(paper: Paper) -> Byline:
    """The first three authors and a count of the others."""
    return _byline(paper.authors)


# A card asks for it up to five times.
@lru_cache(maxsize=4_096)
def _byline(names: tuple[str, ...]) -> Byline:
    authors = [" ".join(name.split()) for name in names if name.strip()]
    shown = authors[:_MOST_AUTHORS]
    return Byline(tuple(shorten(name, _LONGEST_NAME) for name in shown), len(authors) - len(shown))


def names_and_more(names: Sequence[str], more: int) -> str:
    """`Ada Example, Bo Sample and 3 more`."""
    return _joined([*names, f"{more:,} more"] if more else names)


def fields(paper: Paper) -> tuple[str, ...]:
    """The names of the paper's first categories, its primary one first."""
    return _fields((paper.primary_category, *paper.categories))


@lru_cache(maxsize=4_096)
def _fields(codes: tuple[str, ...]) -> tuple[str, ...]:
    # Two categories may have one name: cs.LG and stat.ML are both Machine Learning.
    names = dict.fromkeys(category_name(code) for code in codes if code)
    return tuple(names)[:_MOST_FIELDS]


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


def listed_topics(topics: Sequence[str]) -> str:
    """The reader's topics in quotes, for "You asked for …"."""
    shown = [f"“{shorten(topic_title(topic), _LONGEST_TOPIC)}”" for topic in topics[:_MOST_TOPICS]]
    if len(topics) > len(shown):
        shown.append(f"{len(topics) - len(shown)} more")
    return _joined(shown)


def marked_words(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """The words and phrases of `reasons` to mark in a title or an abstract."""
    said = (_phrases(reason) for reason in reasons if reason.field in {"title", "abstract"})
    return tuple(dict.fromkeys(phrase for phrases in said for phrase in phrases))


def mutable_words(reasons: Iterable[Reason], topic: str) -> tuple[str, ...]:
    """The words of `reasons` that can be muted in a topic; not one that is the whole topic."""
    words = marked_words(reasons)
    whole = topic_title(topic).casefold()
    return tuple(word for word in words if word.casefold() != whole)[:_MOST_MUTES]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a sentence; `is_marked` for the reader's own words."""

    text: str
    is_marked: bool = False


def because(reasons: Sequence[Reason]) -> tuple[Piece, ...]:
    """Why a paper is in the mail, as one sentence in pieces; empty without reasons.

    `You get this because the title says [prompt tuning] and it is in Computation and Language.`
    """
    clauses = _clauses(reasons)
    if not clauses:
        return ()
    pieces = [Piece("You get this because ")]
    for number, clause in enumerate(clauses):
        if number:
            pieces.append(Piece(" and " if number == len(clauses) - 1 else ", "))
        pieces += clause
    return (*pieces, Piece("."))


def _clauses(reasons: Sequence[Reason]) -> list[list[Piece]]:
    """One clause per place, with all the words found there; at most four."""
    places: dict[tuple[str, bool], list[str]] = {}
    for reason in reasons:
        phrases = _phrases(reason)
        places.setdefault((reason.field, reason.is_guess), []).extend(phrases)
    # The same words in title and abstract are one reason to a reader.
    title = places.get(("title", False), [])
    if title and title == places.get(("abstract", False)):
        del places["abstract", False]
    return [
        _clause(field, is_guess, list(dict.fromkeys(words)))
        for (field, is_guess), words in list(places.items())[:_MOST_REASONS]
    ]


def _clause(field: str, is_guess: bool, words: list[str]) -> list[Piece]:
    words = [shorten(word, _LONGEST_WORDS) for word in words[:_MOST_WORDS]]
    if field == "category":
        return [Piece(f"it is in {_joined([_category(word) for word in words])}")]
    is_doubtful = field == "author" and is_guess
    pieces = [] if is_doubtful else [Piece(_LEADS.get(field, "it matches "))]
    for number, word in enumerate(words):
        if number:
            pieces.append(Piece(" and " if number == len(words) - 1 else ", "))
        pieces.append(Piece(word, is_marked=True))
    # The name may be somebody else's: the reader's words were a surname or had only initials.
    return [*pieces, Piece(" may be whom you follow")] if is_doubtful else pieces


_LEADS = {
    "title": "the title says ",
    "abstract": "the abstract says ",
    "author": "it is by ",
    "source": "it was told of by ",
    "trend": "among a hundred papers of its field and day it is noticed more than ",
    "meaning": "it reads like ",
}


def _category(pattern: str) -> str:
    name = category_name(pattern)
    return pattern if name == pattern else f"{name} ({pattern})"


def _phrases(reason: Reason) -> tuple[str, ...]:
    """What the reader wrote: a quoted clause is one phrase, whatever its words are split into."""
    if '"' in reason.clause and reason.words:
        return (" ".join(reason.words),)
    prefix, _, rest = reason.clause.rpartition(":")
    bare = (rest if prefix else reason.clause).strip('"')
    return reason.words or ((bare,) if bare else ())


def _joined(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
