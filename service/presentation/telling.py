"""Which sentences of an abstract tell what was done and found: a linear model of a few plain features.

docs/excerpts.md describes the method, how its weights were fitted, and what it was judged by.
"""

import re
from collections.abc import Iterator, Sequence
from operator import itemgetter, mul
from typing import NamedTuple

_WORDS = re.compile(r"[^\W\d_]{2,}")
# The same in lower-case ASCII, where it is found in two thirds of the time.
_PLAIN_WORDS = re.compile("[a-z]{2,}")
# Words are compared by their first six letters, which are shared by "propose", "proposes", "proposing".
_begin = itemgetter(slice(6))


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _beginnings(words: str) -> frozenset[str]:
    return frozenset(map(_begin, words.split()))


_ACTS = _beginnings(
    "propose present introduce develop describe design derive deriving construct investigate study studies"
    " studied explore analyse analyze analysis examine provide perform measure compute calculate apply"
    " applies applied use uses used using employ implement consider compare evaluate review address"
    " formulate extend combine report build built create creating conduct quantify obtain test tested"
    " focus simulate train trained revisit assess adopt"
)
_FINDS = _beginnings(
    "show shows shown showed showing find finds finding findings found demonstrate reveal indicate suggest"
    " prove proves proved confirm observe conclude discover yield yields achieve establish verify verifies"
    " argue argued detect identify estimate determine exhibit outperform improve reduce reduces"
)
_OURS = _words("we our here results experiments")
_THIS = _words("this present proposed")
_WORKS = _words(
    "paper work study survey review article letter analysis method approach framework model"
    " manuscript presentation research contribution thesis"
)
_BACKGROUND = _beginnings(
    "existing previous prior traditional conventional current currently recent recently typically often"
    " usually widely commonly remain remains challenge challenging lack lacks suffer suffers struggle"
    " limited difficult crucial essential critical important emerged emerging increasingly growing been"
    " become unexplored hinder overlook rely relies rapid years expected believed known however although"
    " despite"
)
_OUTLOOK = _beginnings(
    "pave paves paving future foundation insight implication potential promising underscore importance"
    " open opens valuable opportunity could may further"
)
_AVAILABLE = _beginnings("https http github publicly available released")
_POINTS_BACK = _words("it its they their these those such this both")
_UNITS = _words("times percent order orders gev tev kev mev mpc kpc pc km dex")
_SIGNS = re.compile("[%×σ±≥≤≲≳≃≈∼~]")
_DIGIT = re.compile(r"\d")
_COMMON = _words(
    "the for and with from via are our its this that these new novel using into under over"
    " between how what when their based can not has have been more than of in on to by at as is"
    " we an or be"
)
_TELLING = _ACTS | _FINDS | _BACKGROUND | _OUTLOOK | _AVAILABLE
_PLURALS = ("", "s", "ss", "sss")
_SHORT = 80
_MOST_TITLE_WORDS = 8


class Features(NamedTuple):
    """What is asked of a sentence; each is 0 or 1, but `like_title`, a share."""

    bias: float
    acts: float
    finds: float
    is_ours: float
    is_background: float
    is_outlook: float
    is_availability: float
    points_back: float
    has_digit: float
    has_measure: float
    like_title: float
    is_first: float
    is_short: float
    is_first_act: float
    is_after_act: float


def read_features(title: str, sentences: Sequence[str]) -> Iterator[Features]:
    """Yield the features of an abstract's sentences, in their order."""
    wanted = {word.rstrip("s") for word in _WORDS.findall(title.lower()) if word not in _COMMON}
    # Looked up as they may be written: fewer than the words of a sentence are.
    written = {word + plural: word for word in wanted for plural in _PLURALS}
    spellings = written.keys() - _COMMON
    most = max(min(len(wanted), _MOST_TITLE_WORDS), 1)
    has_acted = False
    for number, text in enumerate(sentences):
        listed = (_PLAIN_WORDS if text.isascii() else _WORDS).findall(text.lower())
        words = set(listed)
        begun = _TELLING.intersection(map(_begin, words))
        is_ours = not (
            words.isdisjoint(_OURS) and (words.isdisjoint(_THIS) or words.isdisjoint(_WORKS))
        )
        acts = not begun.isdisjoint(_ACTS)
        has_digit = _DIGIT.search(text) is not None
        yield Features(
            bias=1,
            acts=acts,
            finds=not begun.isdisjoint(_FINDS),
            is_ours=is_ours,
            is_background=len(begun & _BACKGROUND) > 1,
            is_outlook=not begun.isdisjoint(_OUTLOOK),
            is_availability=not begun.isdisjoint(_AVAILABLE),
            points_back=bool(listed) and listed[0] in _POINTS_BACK,
            has_digit=has_digit,
            has_measure=_SIGNS.search(text) is not None
            or (has_digit and not words.isdisjoint(_UNITS)),
            like_title=len({written[word] for word in words & spellings}) / most,
            is_first=number == 0,
            is_short=len(text) < _SHORT,
            is_first_act=is_ours and acts and not has_acted,
            is_after_act=has_acted,
        )
        has_acted = has_acted or (is_ours and acts)


# Fitted by logistic regression on half of the labelled abstracts, in tenths. The 15 put what was done
# before what was found, which is as sure to tell but often hard to follow alone.
_WEIGHTS = Features(
    bias=-16,
    acts=3,
    finds=6,
    is_ours=11,
    is_background=-6,
    is_outlook=-8,
    is_availability=-4,
    points_back=-6,
    has_digit=9,
    has_measure=7,
    like_title=8,
    is_first=-11,
    is_short=-8,
    is_first_act=17 + 15,
    is_after_act=7,
)


# A formula that could not be made readable; not fitted, since it tells all the same.
_RAW_FORMULA = 12


def score_sentences(title: str, sentences: Sequence[str]) -> list[float]:
    """Return a score for each sentence of an abstract: above 0 it should be shown, the highest first."""
    return [
        sum(map(mul, _WEIGHTS, features)) - _RAW_FORMULA * ("\\" in text)
        for text, features in zip(sentences, read_features(title, sentences), strict=True)
    ]
