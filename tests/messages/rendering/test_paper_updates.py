"""Updates to earlier papers, and coverage, in a digest."""

from collections.abc import Callable

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.digest import DigestContext, DigestUpdate
from service.messages.rendering.renderer import Renderer
from service.papers.domain.types import PaperEventKind


def test_updates_are_in_both_parts_and_unsafe_links_in_neither(
    renderer: Renderer, make_digest: Callable[..., DigestContext]
) -> None:
    updates = (
        DigestUpdate(
            title="A paper <with> an end",
            url="https://arxiv.org/abs/2604.90002",
            kind=PaperEventKind.WITHDRAWN,
        ),
        DigestUpdate(title="Bait", url="javascript:alert(1)", kind=PaperEventKind.CODE),
    )
    mail = renderer.render(DeliveryKind.DIGEST, make_digest(updates=updates))
    for text in (mail.html, mail.text):
        assert "Updates to papers you were sent" in text
        assert "https://arxiv.org/abs/2604.90002" in text
        assert "javascript:" not in text
    assert "A paper &lt;with&gt; an end" in mail.html
    assert "* A paper <with> an end: withdrawn" in mail.text


def test_the_footer_of_every_digest_has_its_coverage(
    renderer: Renderer, make_digest: Callable[..., DigestContext]
) -> None:
    mail = renderer.render(DeliveryKind.DIGEST, make_digest())
    foot = mail.html.rpartition("You asked for this")[2]
    assert "412 of 412 announced papers checked" in foot
    assert "/status" in foot
    assert "412 of 412 announced papers checked" in mail.text.rpartition("You asked for this")[2]
