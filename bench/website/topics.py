"""Topics as visitors type them, drawn from the papers' own words, for `web.py`."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

from website.corpus import RealPaper

_WORD = re.compile(r"[a-z]{4,}")
_FIRST_LETTERS = 3


class TopicMaker:
    """A generator of topics of every kind from a corpus; the same seed gives the same topics."""

    def __init__(self, papers: Sequence[RealPaper], seed: int = 8) -> None:
        self._random = Random(seed)  # noqa: S311  # a repeatable draw, no secret
        words: Counter[str] = Counter()
        phrases: Counter[str] = Counter()
        for paper in papers:
            found = _WORD.findall(paper.title.lower())
            words.update(found)
            phrases.update(" ".join(pair) for pair in pairwise(found))
        self._words = [word for word, _ in words.most_common(3_000)]
        self._phrases = [phrase for phrase, _ in phrases.most_common(2_000)]
        self._categories = [code for paper in papers for code in paper.categories]
        self._authors = [name for paper in papers for name in paper.authors[:1]]

    @property
    def kinds(self) -> dict[str, Callable[[], str]]:
        """Return a maker of each kind of topic with words and names only."""
        return {
            "common_word": self._common,
            "word": self._word,
            "two_words": lambda: f"{self._common()} {self._word()}",
            "phrase": lambda: f'"{self._phrase()}"',
            "category": self._category,
            "word_in_category": lambda: f"{self._word()} {self._category()}",
            "author": lambda: f'au:"{self._random.choice(self._authors)}"',
            "not": lambda: f"{self._common()} -{self._word()}",
            "or_of_ten": lambda: " OR ".join(self._word() for _ in range(10)),
            "misspelt": self.misspelt,
        }

    @property
    def kinds_to_preview(self) -> dict[str, Callable[[], str]]:
        """Return the same, and those with `like:` and `replaced:`."""
        return self.kinds | {
            "like": lambda: f'like:"{self._phrase()} {self._word()}"',
            "replaced": lambda: f"{self._word()} replaced:",
        }

    def _common(self) -> str:
        return self._random.choice(self._words[:40])

    def _word(self) -> str:
        return self._random.choice(self._words)

    def _phrase(self) -> str:
        return self._random.choice(self._phrases)

    def _category(self) -> str:
        return f"cat:{self._random.choice(self._categories)}"

    def misspelt(self) -> str:
        """Return a word without one of its letters."""
        word = self._word()
        at = self._random.randrange(_FIRST_LETTERS, len(word))
        return word[:at] + word[at + 1 :]
