"""Localised dates; the rest of a mail is in English.

Formats and names are Unicode's (CLDR), in `locales/dates.json`; `.ci/locale_dates.py` writes it.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from markupsafe import Markup, escape

from service.platform.caches import cached

_TABLE = Path(__file__).with_name("locales") / "dates.json"


@dataclass(frozen=True, slots=True)
class _Format:
    pattern: str
    months: tuple[str, ...]
    days: tuple[str, ...]

    def write(self, day: date) -> str:
        # A format may have no names: of a month in Chinese, of a day in a plain date.
        month = self.months[day.month - 1] if self.months else ""
        weekday = self.days[day.weekday()] if self.days else ""
        return self.pattern.format(d=day.day, n=day.month, y=day.year, m=month, w=weekday)


@dataclass(frozen=True, slots=True)
class _Formats:
    long: _Format
    plain: _Format
    short: _Format


def day_name(day: date) -> str:
    """Return the English weekday: `Tuesday`."""
    # Not `strftime("%A")`, which follows the locale of the process.
    return _formats_of("").long.days[day.weekday()]


def day_and_month(day: date) -> str:
    """Return `Tuesday 21 April`, for sentences, which are in English."""
    return long_date(day).removesuffix(f" {day.year}")


@cached("long dates", maxsize=1_024)
def long_date(day: date, locale: str = "") -> str:
    """Return `Tuesday 21 April 2026`, in `de-AT` `Dienstag, 21. April 2026`."""
    return _formats_of(_find(locale)).long.write(day)


@cached("plain dates", maxsize=1_024)
def plain_date(day: date, locale: str = "") -> str:
    """Return `21 April 2026`."""
    return _formats_of(_find(locale)).plain.write(day)


@cached("short dates", maxsize=1_024)
def short_date(day: date, locale: str = "") -> str:
    """Return `Tue 21 Apr`."""
    return _formats_of(_find(locale)).short.write(day)


def moment(at: datetime) -> str:
    """Return `Tue 21 Apr, 07:05 UTC`, for operators."""
    utc = at.astimezone(UTC)
    return f"{short_date(utc.date())}, {utc:%H:%M} UTC"


def lang_span(text: str, locale: str) -> Markup:
    """Return a date as HTML, marked with its language for screen readers."""
    if _find(locale).partition("-")[0] in {"", "en"}:
        return escape(text)
    return Markup('<span lang="{}" dir="auto">{}</span>').format(locale, text)


def parse_locale(tag: str) -> str:
    """Return the first known language of an Accept-Language header or a language tag: `de-AT`.

    Empty where there is none (RFC 9110 §12.5.4; weights are nearly always in falling order).
    """
    names = (language_range.partition(";")[0].strip() for language_range in tag.split(",")[:10])
    return next(filter(_find, names), "")


@cached("locales", maxsize=256)
def _find(tag: str) -> str:
    """Return the nearest tag of the table, without the last subtags (RFC 4647 §3.4), or nothing."""
    if len(tag) > 20 or not tag.replace("-", "").isalnum() or not tag.isascii():
        return ""
    known, found = _read_table(), tag.lower()
    while found not in known:
        found = found.rpartition("-")[0]
    return found


@cached("date formats", maxsize=256)
def _formats_of(tag: str) -> _Formats:
    return _Formats(*(_parse(text) for text in _read_table()[tag]))


def _parse(text: str) -> _Format:
    pattern, months, days = text.split("\t")
    return _Format(
        pattern, tuple(filter(None, months.split("|"))), tuple(filter(None, days.split("|")))
    )


@cached("locale table", maxsize=1)
def _read_table() -> dict[str, tuple[str, ...]]:
    """Return long, plain and short format by tag; that of subscribers without a locale by ""."""
    read = json.loads(_TABLE.read_text(encoding="utf-8"))
    texts: list[str] = read["texts"]
    return {tag: tuple(texts[number] for number in of) for tag, of in read["tags"].items()}
