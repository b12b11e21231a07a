"""Time zones are found by what people write: a name, a city, any case, with or without accents."""

import pytest

from service.platform.time_zones import (
    find_zone,
    is_zone,
    suggest_zones,
    zone_name,
    zone_suggestions,
)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("Munich, Germany", "Europe/Berlin"),
        ("MÜNCHEN", "Europe/Berlin"),
        ("Zürich", "Europe/Zurich"),
        ("new  york", "America/New_York"),
        ("São Paulo", "America/Sao_Paulo"),
        ("San Francisco", "America/Los_Angeles"),
        ("Calcutta", "Asia/Calcutta"),
        ("Istanbul", "Europe/Istanbul"),
        ("Singapore", "Asia/Singapore"),
        ("utc", "UTC"),
    ],
)
def test_a_zone_is_found_by_its_name_or_a_city(text: str, zone: str) -> None:
    assert find_zone(text) == zone


@pytest.mark.parametrize("text", ["", "Nowhere", "Europe", "../etc/passwd", "x" * 64, "\ud800"])
def test_an_unknown_place_is_no_zone(text: str) -> None:
    assert find_zone(text) == ""


@pytest.mark.parametrize(
    ("text", "first"), [("Berln", "Europe/Berlin"), ("San Fransisco", "America/Los_Angeles")]
)
def test_a_misspelled_city_brings_suggestions(text: str, first: str) -> None:
    assert suggest_zones(text)[0] == first


def test_an_offset_brings_no_suggestion_because_the_zones_of_that_name_mean_the_opposite() -> None:
    assert suggest_zones("GMT+2") == ()


def test_all_offered_places_are_found() -> None:
    offered = zone_suggestions()
    assert len(offered) == len({*offered}) > 400
    assert all(is_zone(find_zone(place)) for place in offered)


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("Europe/Berlin", "Berlin time"),
        ("America/Argentina/Buenos_Aires", "Buenos Aires time"),
        ("UTC", "UTC"),
        ("Etc/GMT+5", "Etc/GMT+5"),
    ],
)
def test_a_zone_is_named_as_people_say_it(zone: str, name: str) -> None:
    assert zone_name(zone) == name
