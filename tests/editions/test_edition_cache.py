"""A process keeps the editions that it composes, and frees them before it sends."""

from datetime import date

from support.newsletter.press import Press
from support.web.papers import FRIDAY, THURSDAY

from service.deliveries.domain.recipients import Cadence
from service.editions.compose import compose_chunk
from service.editions.edition_cache import EditionCache
from service.editions.publish import Opening, open_edition


def test_a_frozen_edition_is_freed_and_an_open_one_is_kept(press: Press) -> None:
    press.add_subscribers(*(f"reader{number}@example.org" for number in range(4)))
    press.add_papers(1, 2)
    cache = EditionCache()

    def begin(on: date) -> list[int]:
        return open_edition(
            press.sessions, press.settings, Cadence.DAILY, on, press.clock(), Opening(chunk_size=2)
        )

    def compose(chunk_id: int) -> bool:
        return compose_chunk(press.sessions, press.settings, chunk_id, press.clock(), cache)

    first, second = begin(THURSDAY)
    assert not compose(first)
    cache.forget_frozen(press.sessions)
    assert cache.count_entries() == 1
    assert compose(second)
    compose(begin(FRIDAY)[0])
    assert cache.count_entries() == 2
    cache.forget_frozen(press.sessions)
    assert cache.count_entries() == 1
