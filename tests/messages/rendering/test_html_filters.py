"""The lines of a card as HTML: the same text as in the text part, and everything escaped."""

import html
import re
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.messages.contexts.digest import DigestPaper
from service.messages.rendering.html_filters import marked_because, marked_byline
from service.messages.rendering.text_part import text_because, text_byline
from service.topics.domain.types import Reason

MakeEntry = Callable[..., DigestPaper]

_TAG = re.compile(r'<(?:/?mark|/span|span dir="auto")>')
NAMES = st.lists(st.text(st.characters(categories=["L", "P", "Sm"]), max_size=12), max_size=5)


def words_of(markup: str) -> str:
    """Return the visible text of HTML that has only our own tags."""
    bare = _TAG.sub("", markup)
    assert "<" not in bare
    return html.unescape(bare)


def test_each_name_of_a_byline_has_its_own_direction(make_entry: MakeEntry) -> None:
    entry = make_entry(authors=("Ada <b>", "نور حسن"), upvotes=4)
    assert marked_byline(entry) == (
        'Ada &lt;b&gt; and <span dir="auto">نور حسن</span>\u00a0· cs.CL, cs.LG\u00a0· new\u00a0· ▲\u00a04'
    )
    assert marked_byline(make_entry(authors=(), categories=(), primary_category="")) == "new"


def test_a_reason_marks_the_matched_words(make_entry: MakeEntry) -> None:
    reasons = (Reason('"prompt <tuning>"', "title", ("prompt", "<tuning>")),)
    assert marked_because(reasons) == (
        "You get this because the title says <mark>prompt &lt;tuning&gt;</mark>."
    )
    assert not marked_because(make_entry(reasons=()).reasons)


@given(NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_html_and_text_bylines_are_the_same(make_entry: MakeEntry, names: list[str]) -> None:
    entry = make_entry(authors=tuple(names), upvotes=12)
    assert words_of(marked_byline(entry)).replace("\u00a0·", " ·") == text_byline(entry)


@given(NAMES)
def test_html_and_text_reasons_are_the_same(words: list[str]) -> None:
    reasons = tuple(Reason(word, "title", (word,)) for word in words if word)
    bare = text_because(reasons).translate({ord(quote): None for quote in "“”"})
    visible = words_of(marked_because(reasons)).translate({ord(quote): None for quote in "“”"})
    assert visible == bare
