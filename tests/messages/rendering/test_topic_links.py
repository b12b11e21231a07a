"""Links that change topics or save papers: escaped, signed, and only where they are useful."""

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.mail.invented_digests import make_digest, make_entry
from support.mail.reading_mail import addresses, parse_strictly

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestSection, PaperLinks
from service.messages.rendering.renderer import Renderer
from service.messages.signed_links import follow_url, mute_url
from service.presentation.reasons import mutable_words
from service.topics.domain.types import Reason

BASE = "https://papers.example.org/change/token"


def digest(*entries: DigestPaper, topic_id: int = 12) -> DigestContext:
    context = make_digest(DigestSection(title="a OR b", papers=entries, topic_id=topic_id))
    return replace(context, links=replace(context.links, change=BASE, also_off=f"{BASE}?also=off"))


def changes(renderer: Renderer, context: DigestContext) -> set[str]:
    mail = renderer.render(DeliveryKind.DIGEST, context)
    found = {a for a in addresses(parse_strictly(mail.html)) if a.startswith(BASE)}
    assert set(re.findall(re.escape(BASE) + r"\S*", mail.text)) == found
    return found


def test_each_paper_has_links_that_change_its_topic(renderer: Renderer) -> None:
    assert changes(renderer, digest(make_entry(7))) == {
        f"{BASE}?keep=7",
        f"{BASE}?less=7",
        f"{BASE}?topic=12&mute=language%20model&paper=7",
        f"{BASE}?follow=Ada%20Example",
    }


def test_papers_without_a_topic_have_no_mute_links(renderer: Renderer) -> None:
    assert not [a for a in changes(renderer, digest(make_entry(7), topic_id=0)) if "mute" in a]


def test_two_subscribers_share_a_card_but_not_its_links(renderer: Renderer) -> None:
    entry = make_entry(7)
    first = renderer.render(DeliveryKind.DIGEST, digest(entry))
    context = digest(entry, topic_id=99)
    other = renderer.render(
        DeliveryKind.DIGEST,
        replace(
            context, links=replace(context.links, change="https://papers.example.org/change/x")
        ),
    )
    assert "topic=12" in first.html
    assert "topic=12" not in other.html + other.text
    assert BASE + "?keep" not in other.html + other.text
    assert other.html == first.html.replace(
        f"{BASE}?keep", "https://papers.example.org/change/x?keep"
    ).replace(f"{BASE}?less", "https://papers.example.org/change/x?less").replace(
        f"{BASE}?topic=12", "https://papers.example.org/change/x?topic=99"
    ).replace(f"{BASE}?follow", "https://papers.example.org/change/x?follow")


def test_a_mail_without_a_signed_base_has_no_such_links(renderer: Renderer) -> None:
    context = digest(make_entry(7))
    context = replace(context, links=replace(context.links, change="", also_off=""))
    mail = renderer.render(DeliveryKind.DIGEST, context)
    assert "keep=" not in mail.html + mail.text
    assert "Less like this" not in mail.html + mail.text


def test_suggestions_are_marked_and_end_with_one_click(renderer: Renderer) -> None:
    also = make_entry(8, reasons=(), mutes=(), is_suggested=True)
    context = replace(digest(make_entry(7)), also=(also,))
    mail = renderer.render(DeliveryKind.DIGEST, context)
    for text in (mail.html, mail.text):
        section = text.partition("You may also like")[2]
        assert "This paper matches none of your topics." in section
        assert f"{BASE}?also=off" in section
        assert "Similar to papers you saved." in section
        assert f"{BASE}?keep=8" in section
    # The numbers continue, and in flowed text each is at the beginning of a line.
    assert "\n2. " in mail.text.partition("You may also like")[2]


def test_a_revision_has_a_label(renderer: Renderer) -> None:
    mail = renderer.render(DeliveryKind.DIGEST, digest(make_entry(7, revision=3)))
    assert "revised: v3" in mail.html
    assert "revised: v3" in mail.text


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ('"prompt tuning"', ()),
        ("Prompt tuning", ()),
        ('"prompt tuning" OR bert', ("prompt tuning",)),
        ("", ("prompt tuning",)),
    ],
)
def test_the_whole_topic_is_not_offered_for_muting(topic: str, words: tuple[str, ...]) -> None:
    reasons = (
        Reason('"prompt tuning"', "title", ("prompt", "tuning")),
        Reason("cat:cs.CL", "category", ("cs.CL",)),
        Reason('au:"Ada"', "author", ("Ada",)),
    )
    assert mutable_words(reasons, topic) == words


ANY = st.text(max_size=40) | st.text("<>&\"'/{}%#?=$ab\x00\n\ufdd2\ufdd3 ", max_size=30)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(word=ANY, author=ANY, address=ANY)
def test_no_word_name_or_address_leaves_its_link(
    renderer: Renderer, word: str, author: str, address: str
) -> None:
    def encodable(text: str) -> str:
        return text.encode("utf-8", "ignore").decode()

    word, author = encodable(word), encodable(author)
    entry = make_entry(7, authors=(author, "Bo Sample"), github_url=address)
    links = replace(entry.links, follow=follow_url("", author), abstract=address, similar=address)
    shown = replace(entry.shown, links=links)
    entry = replace(entry, shown=shown, mutes=((word, mute_url("", 0, word)),))
    mail = renderer.render(DeliveryKind.DIGEST, digest(entry))
    found = addresses(parse_strictly(mail.html))
    own = {a.partition("?")[2] for a in found if a.startswith(BASE)}
    assert own == {"keep=7", "less=7", mute_url("", 12, word, 7)[1:], follow_url("", author)[1:]}
    others = {a for a in found if not a.startswith(("https://papers.example.org/", "#"))}
    assert all(a.startswith(("http://", "https://")) for a in others)
    assert "\ufdd2" not in mail.html + mail.text
    assert "\ufdd3" not in mail.html + mail.text


def test_an_unsafe_base_is_refused(renderer: Renderer) -> None:
    context = digest(make_entry(7))
    bad = replace(context, links=replace(context.links, change='https://x"onclick='))
    with pytest.raises(Exception, match="PAPERBOY_BASE_URL"):
        renderer.render(DeliveryKind.DIGEST, bad)


def test_a_paper_without_change_links_renders_none(renderer: Renderer) -> None:
    entry = make_entry(7, mutes=())
    links = PaperLinks(abstract="https://arxiv.org/abs/1")
    entry = replace(entry, shown=replace(entry.shown, links=links))
    assert changes(renderer, digest(entry)) == set()
