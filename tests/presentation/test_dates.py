"""Localised dates, for any locale that a browser sends."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from babel import Locale, localedata
from babel.dates import format_date, format_skeleton

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.digest import DigestContext, DigestPaper
from service.messages.rendering.renderer import Renderer
from service.presentation.dates import (
    lang_span,
    long_date,
    moment,
    parse_locale,
    plain_date,
    short_date,
)

DAY = date(2026, 4, 21)


@pytest.mark.parametrize(
    ("locale", "long", "plain", "short"),
    [
        ("", "Tuesday 21 April 2026", "21 April 2026", "Tue 21 Apr"),
        ("en-US", "Tuesday, April 21, 2026", "April 21, 2026", "Tue, Apr 21"),
        ("de-AT", "Dienstag, 21. April 2026", "21. April 2026", "Di., 21. Apr."),
        ("ja", "2026年4月21日火曜日", "2026年4月21日", "4月21日(火)"),
        ("xx-nowhere", "Tuesday 21 April 2026", "21 April 2026", "Tue 21 Apr"),
        # The script is not that of `zh`, and a German in Japan reads German.
        ("zh-TW", "2026年4月21日 星期二", "2026年4月21日", "4月21日 週二"),
        ("DE-jp", "Dienstag, 21. April 2026", "21. April 2026", "Di., 21. Apr."),
    ],
)
def test_a_date_has_the_format_of_its_locale(
    locale: str, long: str, plain: str, short: str
) -> None:
    assert long_date(DAY, locale) == long
    assert plain_date(DAY, locale) == plain
    assert short_date(DAY, locale) == short


@pytest.mark.slow
@pytest.mark.no_cover
def test_dates_of_all_locales_are_those_of_babel() -> None:
    """Babel has all of CLDR; ours is written from it by `.ci/locale_dates.py`."""
    # Every month and every weekday, days of one digit and of two.
    days = [date(2026, month, 3) for month in range(1, 13)]
    days += [date(2026, 11, day) for day in range(9, 16)]
    names = localedata.locale_identifiers()
    assert len(names) > 1000
    for name in names:
        # What Babel fills in for a missing name depends on the locales that it loaded before.
        localedata._cache.clear()
        known, tag = Locale.parse(name), name.replace("_", "-")
        for day in days:
            assert long_date(day, tag) == format_date(day, "full", known), tag
            assert plain_date(day, tag) == format_date(day, "long", known), tag
            assert short_date(day, tag) == format_skeleton("MMMEd", day, locale=known), tag


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de-AT"),
        ("zz-ZZ, fr;q=0.5", "fr"),
        ("*", ""),
        ("", ""),
        ("en", "en"),
        ("../../etc/passwd, <b>, \u00e9", ""),
        ("de-" + "x" * 300, ""),
        (",".join(["zz"] * 50 + ["fr"]), ""),
    ],
)
def test_the_first_known_language_is_used(header: str, locale: str) -> None:
    assert parse_locale(header) == locale


def test_a_date_in_another_language_has_a_lang_attribute() -> None:
    assert lang_span("Dienstag", "de-AT") == '<span lang="de-AT" dir="auto">Dienstag</span>'
    assert lang_span("<Tuesday>", "en-US") == "&lt;Tuesday&gt;"
    assert lang_span("Tuesday", "") == "Tuesday"


def test_a_moment_is_in_utc() -> None:
    there = timezone(timedelta(hours=9))
    assert moment(datetime(2026, 4, 21, 3, 5, tzinfo=there)) == "Mon 20 Apr, 18:05 UTC"
    assert moment(datetime(2026, 4, 21, 3, 5, tzinfo=UTC)) == "Tue 21 Apr, 03:05 UTC"


def test_a_digest_has_dates_in_the_subscribers_locale(
    renderer: Renderer,
    make_entry: Callable[..., DigestPaper],
    make_digest: Callable[..., DigestContext],
) -> None:
    context = replace(make_digest(make_entry()), locale="de-DE")
    mail = renderer.render(DeliveryKind.DIGEST, context)
    assert mail.subject == "1 new on Prompt tuning · Di., 21. Apr."
    assert '<span lang="de-DE" dir="auto">Dienstag, 21. April 2026</span>' in mail.html
    assert "Dienstag, 21. April 2026 · 1 paper for you" in mail.text
    assert "You asked for this on 3. März 2026" in " ".join(mail.text.split())


def test_dates_are_english_whatever_the_locale() -> None:
    assert long_date(date(2026, 4, 21)) == "Tuesday 21 April 2026"
    assert short_date(date(2026, 12, 6)) == "Sun 6 Dec"
