"""Time zones: names that people write, and local hours as instants in UTC."""

import unicodedata
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from importlib.resources import files
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.platform.caches import cached

# Large cities after which the tz database names no zone.
_MORE_CITIES = {
    "America/Chicago": "Austin, Dallas, Houston, Minneapolis",
    "America/Los_Angeles": "Berkeley, Palo Alto, Portland, San Diego, San Francisco, Seattle",
    "America/New_York": "Atlanta, Baltimore, Boston, Philadelphia, Pittsburgh, Princeton, Washington",
    "America/Sao_Paulo": "Brasília, Rio de Janeiro",
    "America/Toronto": "Montréal, Ottawa, Québec",
    "America/Vancouver": "Victoria",
    "Africa/Johannesburg": "Cape Town",
    "Asia/Jerusalem": "Haifa, Tel Aviv",
    "Asia/Kolkata": "Bangalore, Bengaluru, Chennai, Delhi, Hyderabad, Mumbai, New Delhi, Pune",
    "Asia/Shanghai": "Beijing, Guangzhou, Hangzhou, Nanjing, Shenzhen, Wuhan",
    "Asia/Tokyo": "Kyoto, Nagoya, Osaka",
    "Asia/Dubai": "Abu Dhabi",
    "Australia/Sydney": "Canberra",
    "Europe/Amsterdam": "Delft, Eindhoven, Rotterdam, Utrecht",
    "Europe/Berlin": "Cologne, Frankfurt, Hamburg, Heidelberg, Munich, München, Stuttgart, Tübingen",
    "Europe/Istanbul": "Ankara",
    "Europe/London": "Bristol, Cambridge, Edinburgh, Glasgow, Manchester, Oxford",
    "Europe/Madrid": "Barcelona, Valencia",
    "Europe/Paris": "Grenoble, Lyon, Toulouse",
    "Europe/Rome": "Bologna, Milan, Milano, Roma, Torino, Turin",
    "Europe/Stockholm": "Gothenburg",
    "Europe/Zurich": "Basel, Bern, Geneva, Genève, Lausanne",
}


def is_zone(name: str) -> bool:
    """Return whether the tz database has a zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def find_zone(text: str) -> str:
    """Return the zone that a person means, by its name or by a city, or an empty string.

    `Europe/Berlin`, `europe/berlin`, `Berlin`, `new york`, `Zürich` and `Munich, Germany` are found.
    """
    known = _zones_by_words()
    words = _fold(text)
    found = known.get(words) or known.get(words.partition(",")[0], "")
    return found or (text if is_zone(text) else "")


def suggest_zones(text: str) -> tuple[str, ...]:
    """Return at most three zones whose name or city is spelled like `text`."""
    if any(character.isdigit() for character in text):
        # `Etc/GMT+2` is two hours *behind* UTC: never suggest it to people who write `GMT+2`.
        return ()
    known = _zones_by_words()
    close = get_close_matches(_fold(text), known, n=6, cutoff=0.8)
    return tuple(dict.fromkeys(known[words] for words in close))[:3]


def zone_name(zone: str) -> str:
    """Return a zone as people say it: `Berlin time` for `Europe/Berlin`, `UTC` for `UTC`."""
    area, _, city = zone.rpartition("/")
    return f"{city.replace('_', ' ')} time" if area and area != "Etc" else zone


@cached("time zone suggestions", maxsize=1)
def zone_suggestions() -> tuple[str, ...]:
    """Return the zones and cities to offer in a list: those of the tz database, and more cities."""
    return (*sorted(_listed_zones()), *sorted(_more_cities()))


def _listed_zones() -> tuple[str, ...]:
    """Return the zones of zone.tab, which are those meant to be chosen from; others are aliases."""
    lines = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines()
    return ("UTC", *(line.split("\t")[2] for line in lines if not line.startswith("#")))


def _more_cities() -> dict[str, str]:
    return {city: zone for zone, cities in _MORE_CITIES.items() for city in cities.split(", ")}


@cached("time zones by words", maxsize=1)
def _zones_by_words() -> dict[str, str]:
    """Return each zone by its folded name and city; listed zones win over aliases."""
    names = files("tzdata").joinpath("zones").read_text("utf-8").split()
    found: dict[str, str] = {}
    for zone in (*names, *_listed_zones()):
        found[_fold(zone)] = zone
        area, _, city = zone.rpartition("/")
        if area and area != "Etc":
            found[_fold(city)] = zone
    return {**found, **{_fold(city): zone for city, zone in _more_cities().items()}}


def _fold(text: str) -> str:
    """Return a name without case, accents and underscores, for comparison."""
    plain = unicodedata.normalize("NFKD", text).replace("_", " ").casefold()
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


def subscriber_hour(on: date, hour: int, zone: str) -> datetime:
    """Return the instant (UTC) of a subscriber's hour on a local date.

    An hour that does not exist in spring is the moment of the change, at which clocks skip it. Where
    they skip to the next day (Nuuk), it is the hour before. An hour that occurs twice in autumn is the
    first one. So each local date has exactly one such instant.
    """
    place = ZoneInfo(zone)
    # In a gap this has the UTC offset before the change.
    at = datetime.combine(on, time(hour), tzinfo=place).astimezone(UTC)
    local = at.astimezone(place)
    if hour in {local.hour, 0}:
        return at
    before = subscriber_hour(on, hour - 1, zone)
    is_skipped_too = before.astimezone(place).hour >= hour
    return before if local.date() > on or is_skipped_too else at
