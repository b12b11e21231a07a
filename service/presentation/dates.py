"""Localised dates; the rest of a mail is in English."""

from datetime import UTC, date, datetime

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton
from markupsafe import Markup, escape

from service.platform.caches import cached

# Not `strftime("%A")`, which follows the locale of the process.
_ENGLISH = Locale("en")


def day_name(day: date) -> str:
    """Return the English weekday: `Tuesday`."""
    return format_date(day, "EEEE", _ENGLISH)


@cached("long dates", maxsize=1_024)
def long_date(day: date, locale: str = "") -> str:
    """Return `Tuesday 21 April 2026`, in `de-AT` `Dienstag, 21. April 2026`."""
    known = _find(locale)
    return format_date(day, "full" if known else "EEEE d MMMM y", known or _ENGLISH)


@cached("plain dates", maxsize=1_024)
def plain_date(day: date, locale: str = "") -> str:
    """Return `21 April 2026`."""
    known = _find(locale)
    return format_date(day, "long" if known else "d MMMM y", known or _ENGLISH)


@cached("short dates", maxsize=1_024)
def short_date(day: date, locale: str = "") -> str:
    """Return `Tue 21 Apr`."""
    known = _find(locale)
    if known:
        return format_skeleton("MMMEd", day, locale=known)
    return format_date(day, "EEE d MMM", _ENGLISH)


def moment(at: datetime) -> str:
    """Return `Tue 21 Apr, 07:05 UTC`, for operators."""
    utc = at.astimezone(UTC)
    return f"{short_date(utc.date())}, {utc:%H:%M} UTC"


def lang_span(text: str, locale: str) -> Markup:
    """Return a date as HTML, marked with its language for screen readers."""
    known = _find(locale)
    if known is None or known.language == "en":
        return escape(text)
    return Markup('<span lang="{}" dir="auto">{}</span>').format(locale, text)


def parse_locale(tag: str) -> str:
    """Return the first known language of an Accept-Language header or a language tag: `de-AT`.

    Empty where there is none (RFC 9110 §12.5.4; weights are nearly always in falling order).
    """
    names = (language_range.partition(";")[0].strip() for language_range in tag.split(",")[:10])
    return next(filter(_find, names), "")


@cached("locales", maxsize=256)
def _find(tag: str) -> Locale | None:
    if not tag or len(tag) > 20 or not tag.replace("-", "").isalnum() or not tag.isascii():
        return None
    try:
        return Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return None
