"""A note and a pick are the same by shared skeletons as by plain templates, and harmless in both."""

import pytest
from support.mail.invented_digests import make_digest, make_entry

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.digest import DigestSection
from service.messages.rendering.renderer import Renderer


@pytest.mark.parametrize("note", ["", "Dear *readers* <script>\n\n1. {{ mail }}\n2. `code`\n\n> x"])
def test_a_note_and_a_pick_render_alike_on_both_ways(note: str) -> None:
    entries = (make_entry(1, pick="Read <b>this</b>: {{ x }}."), make_entry(2))
    mail = make_digest(DigestSection(title="T", papers=entries, topic_id=3), note=note)
    fast, plain = Renderer(), Renderer(is_fast=False)
    for _ in range(2):
        one = fast.render(DeliveryKind.DIGEST, mail)
        other = plain.render(DeliveryKind.DIGEST, mail)
        assert (one.html, one.text) == (other.html, other.text)
    assert one.html.count("choice:</b> Read &lt;b&gt;this&lt;/b&gt;: {{ x }}.") == 1
    assert "<script" not in one.html
    assert ("<em>readers</em> &lt;script&gt;" in one.html) == bool(note)
