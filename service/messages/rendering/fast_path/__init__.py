"""The fast path of digests, with one way in: `FastPath`. docs/fast-path.md has its invariants."""

from collections.abc import Callable
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context

from service.messages.contexts.digest import DigestContext
from service.messages.rendering.environment import Templates
from service.messages.rendering.fast_path.cards import CardSkeletons
from service.messages.rendering.fast_path.skeletons import DigestSkeletons, UnsupportedLog
from service.messages.rendering.fast_path.slot_values import CannotShare, CardsSlot
from service.messages.rendering.fast_path.symbolic import accept_symbolic, finalize
from service.messages.rendering.fragments import Place
from service.messages.rendering.paper_cards import WriteCards, card_slot, cards_filter
from service.messages.rendering.slots import TextSlot


class FastPath:
    """Renders digests by skeletons. Its templates are the plain ones, given symbolic values."""

    def __init__(self, templates: Templates) -> None:
        self.environment = templates.environment.overlay(finalize=finalize)
        filters = {name: accept_symbolic(function) for name, function in templates.filters.items()}
        self.environment.filters = {**templates.environment.filters, **filters}
        log_once = UnsupportedLog()
        cards = CardSkeletons(self.environment, log_once)
        self.skeletons = DigestSkeletons(self.environment, log_once)
        for name, kind in templates.cards.items():
            place = cards.placer(kind, templates.whole_cards.placer(kind))
            heading = self.skeletons.heading_placer(kind, templates.openings.place_heading(kind))
            write = kind.writer(place, templates.openings, heading)
            # The plain templates, which take over where no skeleton fits, show the same cards.
            templates.environment.filters[name] = cards_filter(write)
            self.environment.filters[name] = _cards_filter(write)

    def render(self, mail: DigestContext) -> tuple[str, Place, Place] | None:
        """Return the subject, and the fragments of HTML and text; None where no skeleton fits.

        Raises `UnsafeOwnLink` for a link that must not be sent.
        """
        try:
            return self.skeletons.fill(mail)
        except CannotShare:
            return None


def _cards_filter(write: WriteCards) -> Callable[..., TextSlot]:
    @pass_context
    def cards(context: Context, shown: Any, *options: Any) -> TextSlot:
        places: list[Any] = context["places"]
        places.append(CardsSlot(write, shown, options))
        return card_slot(len(places) - 1)

    return cards
