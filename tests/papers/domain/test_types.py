"""Properties of the enums of papers and deliveries."""

from service.deliveries.domain.states import DeliveryState
from service.papers.domain.types import AnnounceType


def test_a_replacement_never_makes_a_paper_new_to_a_subscriber() -> None:
    first = {t for t in AnnounceType if t.is_first}
    assert first == {AnnounceType.NEW, AnnounceType.CROSS, AnnounceType.LISTED}


def test_a_state_is_final_unless_the_delivery_may_still_be_sent() -> None:
    moving = {state for state in DeliveryState if not state.is_final}
    assert moving == {DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT}
