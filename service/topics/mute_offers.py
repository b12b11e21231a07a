"""Clauses that a topic could exclude and still bring papers: words of a paper, narrower clauses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from sqlalchemy.orm import Session

from service.papers.domain.types import PaperView
from service.papers.store.read import count_each, count_within, match_conditions
from service.platform import linear_regex
from service.platform.settings.settings import Settings
from service.topics.domain.language import Category, Leaf, QueryError, Text, leaf_texts, parse_query
from service.topics.domain.language.canonical import write_leaf
from service.topics.domain.language.edits import leaves_nothing, parse_clause, write_muted
from service.topics.domain.language.syntax_tree import iterate_leaves
from service.topics.domain.query_limits import is_public_size
from service.topics.like_clauses import topic_condition
from service.topics.store.models import Topic
from service.topics.store.to_sql import fetch_lexemes, to_sql

_WORD = linear_regex.compile(r"[^\W\d_][\w'’-]{2,}")
_MOST_WORDS = 12
MOST_OFFERS = 4
_DAYS = 30
# Muting a word that no other paper has would exclude nothing.
_FEWEST_PAPERS = 2
# So few papers in 30 days, or so small a share of them, are nearly none.
_FEW_LEFT, _FEW_SHARE = 2, 10


@dataclass(frozen=True, slots=True)
class MuteOffer:
    """A clause that a topic could exclude: how many of its papers of 30 days go, and how many stay."""

    clause: str
    muted_count: int
    left_count: int


def leaves_few(before: int, after: int) -> bool:
    """Return whether a mute takes nearly all papers: counts of 30 days before and after it."""
    return after * _FEW_SHARE <= before or after <= min(_FEW_LEFT, before // 2) if before else False


def list_mute_offers(
    session: Session,
    settings: Settings,
    topic: Topic,
    paper: PaperView | None,
    until: date,
    wanted: Leaf | None = None,
) -> list[MuteOffer]:
    """Return clauses that the topic could exclude: narrower than `wanted`, then others by rarity.

    They are the topic's own words in `paper`, which come first without `wanted`, the words of its
    title, and its field. Left out: those that leave nothing or few papers, that the topic excludes
    already, or that only this paper has.
    """
    if isinstance(wanted, Text):
        narrower = list(_iterate_narrower(wanted, paper))
    else:
        narrower = _matched_words(session, topic, paper) if paper else []
    clauses = dict.fromkeys([*narrower, *(_iterate_clauses(paper) if paper else ())])
    clauses.pop(wanted, None)
    lexicon = fetch_lexemes(session, {text for each in clauses for text in leaf_texts(each)})
    # A word without a lexeme (a stop word) matches nothing.
    usable = [
        clause
        for clause in clauses
        if all(lexicon[text] for text in leaf_texts(clause)) and _can_mute(topic.query, clause)
    ]
    offers = _choose(session, settings, topic, usable, until)
    firsts = {write_leaf(clause) for clause in narrower}
    return sorted(offers, key=lambda offer: offer.clause not in firsts)[:MOST_OFFERS]


def _matched_words(session: Session, topic: Topic, paper: PaperView) -> list[Leaf]:
    """Return the words and phrases of a topic that a paper has."""
    own = [leaf for leaf in iterate_leaves(parse_query(topic.query)) if isinstance(leaf, Text)]
    found = match_conditions(session, paper.id, [to_sql(leaf) for leaf in own])
    return [leaf for leaf, is_found in zip(own, found, strict=True) if is_found]


def _iterate_narrower(wanted: Text, paper: PaperView | None) -> Iterator[Leaf]:
    """Yield phrases of the title with the muted word, and the word in titles only."""
    word = wanted.text.casefold()
    tokens = paper.title.split() if paper else []
    for pair in pairwise(tokens):
        words = [_WORD.fullmatch(token.strip(".,:;!?()")) for token in pair]
        if all(words) and any(each and each[0].casefold().startswith(word) for each in words):
            yield Text("any", " ".join(each[0] for each in words if each), is_phrase=True)
    if wanted.field == "any":
        yield Text("title", wanted.text, wanted.is_phrase)


def _iterate_clauses(paper: PaperView) -> Iterator[Leaf]:
    for word in list(dict.fromkeys(_WORD.findall(paper.title)))[:_MOST_WORDS]:
        yield Text("title", word)
    field = parse_clause(f"cat:{paper.primary_category}")
    # Sources have subjects that the topic language does not know and would parse as words.
    if isinstance(field, Category):
        yield field


def _can_mute(text: str, clause: Leaf) -> bool:
    """Return whether the clause fits into the topic, which neither excludes nor wants it yet."""
    try:
        changed = write_muted(text, clause)
    except QueryError:
        return False
    is_small = is_public_size(changed) or not is_public_size(text)
    return is_small and changed != text and not leaves_nothing(parse_query(text), clause)


def _choose(
    session: Session, settings: Settings, topic: Topic, clauses: Sequence[Leaf], until: date
) -> list[MuteOffer]:
    since = until - timedelta(days=_DAYS - 1)
    conditions = [to_sql(clause) for clause in clauses]
    whole = topic_condition(session, settings, parse_query(topic.query))
    total, *inside = count_within(session, whole, conditions, since)
    everywhere = count_each(session, conditions, since)
    found = sorted(zip(everywhere, map(write_leaf, clauses), inside, strict=True))
    return [
        MuteOffer(clause, muted, total - muted)
        for count, clause, muted in found
        if count >= _FEWEST_PAPERS and not leaves_few(total, total - muted)
    ]
