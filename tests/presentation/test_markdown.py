"""A note in Markdown: what it may have, and that nothing else becomes HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml.etree import fromstring

from service.presentation.markdown import mail_note, note_html

ALLOWED = {
    "p", "em", "strong", "a", "ul", "ol", "li", "blockquote", "pre", "code", "br", "hr",
}  # fmt: skip


def test_a_note_has_paragraphs_lists_emphasis_and_links() -> None:
    html = note_html("Dear *readers*,\n\n* one\n* [two](https://example.org/?a=1&b=2)\n\n> quoted")
    assert "<em>readers</em>" in html
    assert '<a href="https://example.org/?a=1&amp;b=2">two</a>' in html
    assert "<blockquote>" in html


@pytest.mark.parametrize(
    "note",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "[click](data:text/html;base64,PHNjcmlwdD4=)",
        "![pixel](https://tracker.example/p.gif)",
        "<https://example.org/?x=<b>>",
        "# Heading",
    ],
)
def test_html_pictures_and_other_schemes_stay_text(note: str) -> None:
    html = str(note_html(note))
    tags = {element.tag for element in fromstring(f"<note>{html}</note>").iter()} - {"note"}
    assert tags <= ALLOWED
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html


@given(st.text(alphabet=st.sampled_from([*"<>&\"'`*_[]()!#-+1. \n\\:/", "a", "\x00", "\ufdd0"])))
def test_any_note_is_well_formed_and_has_only_these_elements(note: str) -> None:
    for html in (note_html(note), mail_note(note)):
        assert {one.tag for one in fromstring(f"<note>{html}</note>").iter()} <= ALLOWED | {"note"}
