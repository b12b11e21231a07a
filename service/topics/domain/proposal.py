"""Topics proposed from papers that a reader has: groups of papers, authors, categories, words.

Pure: papers and their groups in, topics out. Nothing is chosen for the reader but what is ticked.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import log
from types import MappingProxyType
from typing import Final

from service.papers.domain.author_names import author_key
from service.papers.domain.categories import UnknownCategory, canonical_category, category_name
from service.papers.domain.identifiers import is_arxiv_id
from service.papers.domain.tsvector import SEPARATORS
from service.similarity.domain.vectors import MOST_PAPERS
from service.topics.domain.names import LONGEST_NAME

PAPERS_A_GROUP: Final = 15
"""One group for so many papers; none has more than `MOST_PAPERS`."""
MOST_GROUPS: Final = 8
_MOST_AUTHORS, _MOST_CATEGORIES, _MOST_PHRASES = 5, 4, 8
_LEAST_SHARE_OF_CATEGORY: Final = 0.1
_SAYS_THE_SAME: Final = 3
"""Abstracts that share a sentence word for word, which is then a notice."""
MOST_WORDS_OF_GROUP: Final = 90
"""Words of the description of a group whose papers are not stored here, the most telling ones."""
_LONGEST_TEXT: Final = 1_900
# Words of one abstract that are read, and of the whole file: a quarter of a second.
_MOST_WORDS_OF_ONE, _MOST_WORDS = 400, 100_000
_BLANKS: Final = str.maketrans(
    {
        character: " "
        for character in (*map(chr, range(128)), *SEPARATORS)
        if character != "-" and not character.isalnum()
    }
)
# Words that begin or end no phrase of a subject.
_EMPTY_WORDS: Final = """
a about above across after against all also although among an and any are as at be because been
before being best better between beyond both but by can case cases code compared could
demonstrate demonstrates despite do does due each effective effectively efficient e either
enable enables etc even existing experiments extensive few first for from further g given has
have here how however if important in including into is it its large less many may method
methods model models more most much need new no non not novel number of often on one only or
other our out over paper per performance previous problem propose proposed proposes recent
recently required results same second several show shows significant significantly simple since
so some state-of-the-art study such task tasks than that the their them then there these they
this those three through thus to towards two under up upon use used uses using via was we well
were what when where whether which while who why widely will with within without work works yet
you your approach approaches achieve achieves based challenge challenges different introduce
introduces present presents provide provides various
"""
_EMPTY: Final = frozenset(_EMPTY_WORDS.split())


class ProposalKind(StrEnum):
    """What made a proposed topic."""

    GROUP = "group"
    AUTHOR = "author"
    CATEGORY = "category"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class FilePaper:
    """A paper of the file. `key` is that of the stored paper, empty where it is not here."""

    label: str
    key: str = ""
    title: str = ""
    abstract: str = ""
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposedTopic:
    """A topic with its name, the labels of the papers that made it, and whether it is ticked."""

    kind: ProposalKind
    query: str
    name: str
    papers: tuple[str, ...]
    is_ticked: bool = False


def without_notices(papers: Sequence[FilePaper]) -> list[FilePaper]:
    """Return the papers without the sentences that many abstracts share word for word.

    A publisher's copyright line, or the notice of a sample, says nothing about a subject. Many are
    three abstracts, or all of a file of two; copies of one abstract count once.
    """
    texts = {paper.abstract for paper in papers if paper.abstract}
    counts = Counter(sentence for text in texts for sentence in {*_iterate_sentences(text)})
    many = min(_SAYS_THE_SAME, max(2, len(texts)))
    notices = {sentence for sentence, count in counts.items() if count >= many}
    if not notices:
        return list(papers)
    return [
        replace(
            paper,
            abstract=" ".join(
                each for each in _iterate_sentences(paper.abstract) if each not in notices
            ),
        )
        for paper in papers
    ]


def _iterate_sentences(text: str) -> Iterator[str]:
    """Yield the parts of a text between full stops, with spaces as one, the stop included."""
    words: list[str] = []
    for word in text.split():
        words.append(word)
        if word.endswith((".", "!", "?")):
            yield " ".join(words)
            words = []
    if words:
        yield " ".join(words)


def count_groups(paper_count: int) -> int:
    """Return how many groups to make of so many papers."""
    return max(1, -(-paper_count // PAPERS_A_GROUP))


def propose(
    papers: Sequence[FilePaper],
    groups: Iterable[Sequence[int]] = (),
    words: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> tuple[ProposedTopic, ...]:
    """Return the topics: groups first, the largest first, then words, authors and categories.

    `groups` are indexes into `papers`, the most central papers first; a group of one makes none.
    `words` describe a group, by its place, of which fewer than two papers are stored. Groups are
    ticked; where there is none, the words are.
    """
    phrases = _Phrases(papers)
    by_group = [
        topic
        for place, group in enumerate(groups)
        if len(group) > 1
        if (topic := _propose_group(papers, group, phrases, words.get(place, ())))
    ][:MOST_GROUPS]
    return (
        *by_group,
        *_propose_words(papers, phrases, is_ticked=not by_group),
        *_propose_authors(papers),
        *_propose_categories(papers),
    )


def _propose_group(
    papers: Sequence[FilePaper], group: Sequence[int], phrases: "_Phrases", words: Sequence[str]
) -> ProposedTopic | None:
    """Return a `like:` clause of the stored papers, or of words where fewer than two are."""
    members = [papers[n] for n in group]
    keys = _like_names(members)
    query = f"like:{','.join(keys[:MOST_PAPERS])}" if len(keys) > 1 else _like_words(words)
    if not query:
        return None
    name = phrases.name(group) or members[0].label
    return ProposedTopic(
        ProposalKind.GROUP, query, name[:LONGEST_NAME], tuple(p.label for p in members), True
    )


def has_description(papers: Sequence[FilePaper], group: Sequence[int]) -> bool:
    """Return whether a group needs `words`, because a `like:` clause cannot name its papers."""
    return len(group) > 1 and len(_like_names([papers[n] for n in group])) < 2


def _like_names(members: Iterable[FilePaper]) -> list[str]:
    names = (_like_name(paper.key) for paper in members)
    return list(dict.fromkeys(name for name in names if name))


def _like_name(key: str) -> str:
    """Return how a `like:` clause names a stored paper; empty where its key has marks."""
    name = key.removeprefix("arxiv:")
    if is_arxiv_id(name):
        return name
    return "" if any(mark in key for mark in ',"() ') else key


def _like_words(words: Sequence[str]) -> str:
    """Return a clause of words without a full stop, which counts as a list (docs/relevance.md)."""
    text = " ".join(words[:MOST_WORDS_OF_GROUP])
    return f'like:"{text}"' if words and len(text) <= _LONGEST_TEXT else ""


def _propose_words(
    papers: Sequence[FilePaper], phrases: "_Phrases", *, is_ticked: bool
) -> Iterator[ProposedTopic]:
    chosen = phrases.choose(range(len(papers)), _MOST_PHRASES)
    if chosen:
        used = {n for phrase in chosen for n in phrases.papers_with(phrase)}
        query = " OR ".join(f'"{phrase}"' for phrase in chosen)
        labels = tuple(papers[n].label for n in sorted(used))
        name = _join_names(chosen)
        yield ProposedTopic(ProposalKind.WORDS, query, name, labels, is_ticked)


def _propose_authors(papers: Sequence[FilePaper]) -> Iterator[ProposedTopic]:
    """Yield authors of at least two papers under a whole name, those of most papers first."""
    spelled: dict[str, str] = {}
    written: dict[str, list[str]] = {}
    for paper in papers:
        for key, name in {author_key(name): name for name in paper.authors}.items():
            words = key.split()
            if len(words) > 1 and len(words[0]) > 1 and '"' not in name:
                spelled.setdefault(key, name)
                written.setdefault(key, []).append(paper.label)
    ranked = sorted(written.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    for key, labels in [pair for pair in ranked if len(pair[1]) > 1][:_MOST_AUTHORS]:
        name = spelled[key]
        yield ProposedTopic(ProposalKind.AUTHOR, f'au:"{name}"', name[:LONGEST_NAME], tuple(labels))


def _propose_categories(papers: Sequence[FilePaper]) -> Iterator[ProposedTopic]:
    labels: dict[str, list[str]] = {}
    for paper in papers:
        for code in dict.fromkeys(_iterate_codes(paper.categories)):
            labels.setdefault(code, []).append(paper.label)
    least = max(2.0, _LEAST_SHARE_OF_CATEGORY * len(papers))
    ranked = sorted(labels.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    for code, own in [pair for pair in ranked if len(pair[1]) >= least][:_MOST_CATEGORIES]:
        name = category_name(code)[:LONGEST_NAME]
        yield ProposedTopic(ProposalKind.CATEGORY, f"cat:{code}", name, tuple(own))


def _iterate_codes(categories: Iterable[str]) -> Iterator[str]:
    for code in categories:
        try:
            yield canonical_category(code)
        except UnknownCategory:
            continue


class _Phrases:
    """Phrases of two or three words that papers share, and keywords of the file."""

    def __init__(self, papers: Sequence[FilePaper]) -> None:
        self._of: list[frozenset[str]] = []
        self._papers: dict[str, list[int]] = {}
        most = min(_MOST_WORDS_OF_ONE, _MOST_WORDS // max(1, len(papers)))
        for number, paper in enumerate(papers):
            own = frozenset(_iterate_phrases(paper, most))
            self._of.append(own)
            for phrase in own:
                self._papers.setdefault(phrase, []).append(number)
        in_titles = Counter(
            phrase for paper in papers for phrase in {*_iterate_of_text(paper.title)}
        )
        self._in_titles: Mapping[str, int] = in_titles

    def papers_with(self, phrase: str) -> Sequence[int]:
        return self._papers[phrase]

    def choose(self, among: Iterable[int], most: int) -> list[str]:
        """Return the phrases that most of these papers share, none part of another."""
        counts = Counter(phrase for n in among for phrase in self._of[n])
        scores = {
            phrase: (count + self._in_titles.get(phrase, 0))
            * log(1 + phrase.count(" ") + 1)
            # What a group shares and the others do not have names it best.
            * (count / len(self._papers[phrase])) ** 0.5
            for phrase, count in counts.items()
            if count > 1
        }
        chosen: list[str] = []
        for phrase in sorted(scores, key=lambda phrase: (-scores[phrase], phrase)):
            if not any(_overlaps(phrase, other) for other in chosen):
                chosen.append(phrase)
            if len(chosen) == most:
                break
        return chosen

    def name(self, group: Sequence[int]) -> str:
        """Return a name for a group of papers from what they share; may be empty."""
        return _join_names(self.choose(group, 3))


def _overlaps(phrase: str, other: str) -> bool:
    return bool({word[:5] for word in phrase.split()} & {word[:5] for word in other.split()})


def _join_names(phrases: Sequence[str]) -> str:
    name = ""
    for phrase in phrases[:3]:
        longer = f"{name}, {phrase}" if name else phrase
        if len(longer) > LONGEST_NAME:
            break
        name = longer
    return name[:1].upper() + name[1:]


def find_words(text: str) -> list[str]:
    """Return the words of a text in lower case and in order; they begin with a letter."""
    # By methods of `str`: a pattern of RE2 takes ten microseconds for each word that it finds.
    pieces = text.lower().replace("--", " ").translate(_BLANKS).split()
    words = (piece.lstrip("-0123456789").rstrip("-") for piece in pieces)
    return [word for word in words if word.replace("-", "").isalnum()]


def _iterate_phrases(paper: FilePaper, most: int) -> Iterator[str]:
    for keyword in paper.keywords:
        words = find_words(keyword)
        if 1 < len(words) < 5:
            yield " ".join(words)
    yield from _iterate_of_text(paper.title)
    yield from _iterate_of_text(paper.abstract, most)


def _iterate_of_text(text: str, most: int = _MOST_WORDS_OF_ONE) -> Iterator[str]:
    """Yield each run of two or three words that begins and ends with a telling one."""
    words = find_words(text[:6_000])[:most]
    is_telling = [len(word) > 1 and word not in _EMPTY for word in words]
    for start in range(len(words) - 1):
        if is_telling[start]:
            for end in (start + 1, start + 2):
                if end < len(words) and is_telling[end] and is_telling[start + 1]:
                    yield " ".join(words[start : end + 1])
