"""Addresses in abstracts become links; a text without any is not searched for them word by word."""

import pytest
from jinja2.utils import urlize

from service.web.views.labels import may_have_link


@pytest.mark.parametrize(
    "text",
    [
        "Code: https://example.org/x.", "see www.example.net", "(example.com)", "EXAMPLE.EDU:8080/a?b",
        "write to us@example.org", "mailto:us@example.org", "a-b.sub.example.info#x", "http://127.0.0.1/",
    ],
)  # fmt: skip
def test_every_text_with_a_link_is_searched(text: str) -> None:
    assert "<a href" in urlize(text)
    assert may_have_link(text)


@pytest.mark.parametrize(
    "text", ["Cats, e.g. ours, sleep 3.5 hours.", "the .community of cats", ""]
)
def test_a_text_without_any_is_not(text: str) -> None:
    assert urlize(text) == text
    assert not may_have_link(text)
