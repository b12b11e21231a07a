"""Links in mails: deterministic signatures, and papers at their source."""

from support.newsletter.press import Press
from support.web.papers import make_announcement

from service.messages.signed_links import paper_links, signed_url
from service.papers.store.read import find_paper
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber


def test_signed_links_are_deterministic(press: Press) -> None:
    ids = press.add_subscribers("anne@example.org", "bert@example.org")
    with press.sessions() as session:
        anne, bert = (session.get_one(Subscriber, each) for each in ids)
    links = {signed_url(press.settings, Purpose.NEVER, anne, press.clock()) for _ in range(2)}
    assert len(links) == 1
    other = signed_url(press.settings, Purpose.NEVER, bert, press.clock())
    assert links.isdisjoint({other})


def test_paper_links_point_to_the_source(press: Press) -> None:
    press.add_papers(
        announcements=[make_announcement(1, "At arXiv"), make_announcement(2, "Bare", url="")]
    )
    with press.sessions() as session:
        at_arxiv = find_paper(session, "arxiv:2609.00001")
        bare = find_paper(session, "arxiv:2609.00002")
    assert at_arxiv
    assert bare
    links = paper_links(press.settings, at_arxiv)
    assert links.abstract == "https://arxiv.org/abs/2609.00001"
    assert links.pdf == "https://arxiv.org/pdf/2609.00001"
    assert paper_links(press.settings, bare).abstract.startswith("http://127.0.0.1:8000/papers/")
    assert paper_links(press.settings, bare).pdf == ""
