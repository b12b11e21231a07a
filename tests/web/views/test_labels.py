"""Labels of volumes and cadences."""

import pytest

from service.deliveries.domain.recipients import Cadence
from service.web.views.labels import cadence_name, short_cadence, volume


@pytest.mark.parametrize(
    ("total", "days", "text"),
    [
        (0, 20, "no papers yet"),
        (3, 0, "no papers yet"),
        (80, 20, "about 4 papers a day"),
        (20, 20, "about 1 paper a day"),
        (9, 20, "about 2 papers a week"),
        (1, 21, "about 1 paper a month"),
        (1, 90, "less than one paper a month"),
    ],
)
def test_a_volume_is_given_in_the_unit_that_fits(total: int, days: int, text: str) -> None:
    assert volume(total, days) == text


def test_every_cadence_has_labels() -> None:
    assert len({cadence_name(cadence) for cadence in Cadence}) == len(Cadence)
    assert [short_cadence(c) for c in Cadence] == ["Daily", "Weekdays", "Mondays"]
    assert short_cadence("hourly") == "hourly"
