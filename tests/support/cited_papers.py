"""An invented paper for tests of citations."""

from datetime import date
from typing import Any

from service.papers.domain.types import AnnounceType, PaperView


def make_paper(**changes: Any) -> PaperView:
    """Return a preprint of arXiv with `changes`."""
    values = {
        "id": 1,
        "key": "arxiv:2609.00001",
        "source": "arxiv",
        "identifier": "2609.00001",
        "title": "On the Attention of Cats",
        "abstract": "We study cats.\n\nThey sleep.",
        "authors": ("Ada Lovelace", "Grace Hopper"),
        "categories": ("cs.CL",),
        "primary_category": "cs.CL",
        "announced_as": AnnounceType.NEW,
        "announced_on": date(2026, 9, 18),
        "url": "https://arxiv.org/abs/2609.00001",
    }
    return PaperView(**{**values, **changes})
