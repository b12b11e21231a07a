"""Links that change topics or save papers: escaped, signed, and only where they are useful."""

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.mail.invented_digests import make_digest, make_entry
from support.mail.reading_mail import addresses, parse_strictly, unflow

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestSection, PaperLinks
from service.messages.rendering.renderer import Renderer

BASE = "https://papers.example.org/change/token"


def digest(*entries: DigestPaper, topic_id: int = 12) -> DigestContext:
    context = make_digest(DigestSection(title="a OR b", papers=entries, topic_id=topic_id))
    return replace(context, links=replace(context.links, change=BASE, also_off=f"{BASE}?also=off"))


def changes(renderer: Renderer, context: DigestContext) -> set[str]:
    mail = renderer.render(DeliveryKind.DIGEST, context)
    found = {a for a in addresses(parse_strictly(mail.html)) if a.startswith(BASE)}
    assert set(re.findall(re.escape(BASE) + r"\S*", mail.text)) == found
    return found


def test_each_paper_can_be_saved_and_leads_to_more_in_its_topic(renderer: Renderer) -> None:
    assert changes(renderer, digest(make_entry(7))) == {f"{BASE}?keep=7", f"{BASE}?more=7&topic=12"}


def test_papers_without_a_topic_name_none(renderer: Renderer) -> None:
    assert changes(renderer, digest(make_entry(7), topic_id=0)) == {
        f"{BASE}?keep=7",
        f"{BASE}?more=7",
    }


def test_a_card_has_four_links(renderer: Renderer) -> None:
    entry = make_entry(7, github_url="https://github.com/example/twelve")
    mail = renderer.render(DeliveryKind.DIGEST, digest(entry))
    ours = addresses(parse_strictly(mail.html))
    assert [a for a in ours if "arxiv.org" in a or BASE in a] == [
        entry.links.abstract,
        entry.links.pdf,
        f"{BASE}?keep=7",
        f"{BASE}?more=7&topic=12",
    ]
    assert "github.com" not in mail.html + mail.text


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
    assert "&amp;topic=12" not in other.html
    assert "topic=12" not in other.html + other.text
    assert BASE + "?keep" not in other.html + other.text
    assert other.html == first.html.replace(
        f"{BASE}?keep", "https://papers.example.org/change/x?keep"
    ).replace(
        f"{BASE}?more=7&amp;topic=12", "https://papers.example.org/change/x?more=7&amp;topic=99"
    )


def test_a_mail_without_a_signed_base_has_no_such_links(renderer: Renderer) -> None:
    context = digest(make_entry(7))
    context = replace(context, links=replace(context.links, change="", also_off=""))
    mail = renderer.render(DeliveryKind.DIGEST, context)
    assert "keep=" not in mail.html + mail.text
    assert "More:" not in mail.html + mail.text


def test_suggestions_are_marked_and_end_with_one_click(renderer: Renderer) -> None:
    also = make_entry(8, reasons=())
    context = replace(digest(make_entry(7)), also=(also,))
    mail = renderer.render(DeliveryKind.DIGEST, context)
    for text in (mail.html, mail.text):
        section = text.partition("You may also like")[2]
        assert "This one matches none of your topics." in section
        assert f"{BASE}?also=off" in section
        assert "Similar to papers you saved." in section
        assert f"{BASE}?keep=8" in section
    # The numbers continue, and in flowed text each is at the beginning of a line.
    assert "\n2. " in mail.text.partition("You may also like")[2]


def test_a_revision_has_a_label(renderer: Renderer) -> None:
    mail = renderer.render(DeliveryKind.DIGEST, digest(make_entry(7, revision=3)))
    assert "revised: v3" in mail.html
    assert "revised: v3" in unflow(mail.text)


ANY = st.text(max_size=40) | st.text("<>&\"'/{}%#?=$ab\x00\n\ufdd2\ufdd3 ", max_size=30)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(address=ANY, pdf=ANY)
def test_no_address_leaves_its_link(renderer: Renderer, address: str, pdf: str) -> None:
    entry = make_entry(7)
    links = replace(entry.links, abstract=address, pdf=pdf)
    entry = entry._replace(shown=replace(entry.shown, links=links))
    mail = renderer.render(DeliveryKind.DIGEST, digest(entry))
    found = addresses(parse_strictly(mail.html))
    own = {a.partition("?")[2] for a in found if a.startswith(BASE)}
    assert own == {"keep=7", "more=7&topic=12"}
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
    entry = make_entry(7)
    links = PaperLinks(abstract="https://arxiv.org/abs/1")
    entry = entry._replace(shown=replace(entry.shown, links=links))
    assert changes(renderer, digest(entry)) == set()
