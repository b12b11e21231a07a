"""Write service/presentation/locales/dates.json from Babel's copy of Unicode's CLDR.

A date needs 0.2 MB of the 30 MB that Babel weighs, so Babel is for this script and for the test that
compares both. Run it after a new release of Babel.
"""

# ruff: noqa: INP001, SLF001
# INP001: a script beside CI's own, not a package. SLF001: Babel has no other way to forget.

import json
import re
from datetime import date
from pathlib import Path

from babel import Locale, UnknownLocaleError, localedata
from babel.core import get_global
from babel.dates import format_date

TARGET = Path(__file__).resolve().parents[1] / "service/presentation/locales/dates.json"

_FIELD = re.compile(r"'(?P<literal>[^']*)'|(?P<field>(?P<letter>[A-Za-z])(?P=letter)*)")
_NUMBERS = {"d": "{d}", "dd": "{d:02}", "M": "{n}", "MM": "{n:02}", "y": "{y}"}
_MONTHS = {"MMMM", "MMM", "LLLL", "LLL"}
# What subscribers get whose locale is unknown: English in the order that most of the world reads.
_PLAIN = ("EEEE d MMMM y", "d MMMM y", "EEE d MMM")

Formats = tuple[str, str, str]


def translate(pattern: str, locale: Locale) -> str:
    """Return a CLDR pattern as `format string⇥months⇥days`, each list joined by `|`."""
    names = {"months": "", "days": ""}

    def field(found: re.Match[str]) -> str:
        if found["literal"] is not None:
            return found["literal"] or "'"
        if found["field"] in _NUMBERS:
            return _NUMBERS[found["field"]]
        if found["field"] == "G":
            return str(locale.eras["abbreviated"][1])
        if found["field"] in _MONTHS:
            days, kind = [date(2026, month, 1) for month in range(1, 13)], "months"
        else:
            # A Monday and the days after it.
            days, kind = [date(2024, 1, day) for day in range(1, 8)], "days"
        names[kind] = "|".join(format_date(day, found["field"], locale) for day in days)
        return "{m}" if kind == "months" else "{w}"

    return "\t".join([_FIELD.sub(field, pattern), names["months"], names["days"]])


def formats_of(locale: Locale) -> Formats:
    """Return the long, the plain and the short format."""
    long, plain = locale.date_formats["full"].pattern, locale.date_formats["long"].pattern
    short = locale.datetime_skeletons["MMMEd"].pattern
    return translate(long, locale), translate(plain, locale), translate(short, locale)


def find(table: dict[str, Formats], tag: str) -> Formats | None:
    """Look a tag up as RFC 4647 §3.4 says: without its last subtags, until one is known."""
    while tag and tag not in table:
        tag = tag.rpartition("-")[0]
    return table.get(tag)


def collect() -> dict[str, Formats]:
    """Return the formats by lower-case tag, without those that the lookup finds anyway."""
    # Also names such as zh-TW, whose script is not that of zh.
    names = {
        *localedata.locale_identifiers(),
        *get_global("likely_subtags"),
        *get_global("language_aliases"),
    }
    table: dict[str, Formats] = {}
    for name in sorted(names, key=lambda name: (name.count("_"), name)):
        # What Babel fills in for a name that a locale leaves out depends on those it loaded before.
        localedata._cache.clear()
        try:
            formats = formats_of(Locale.parse(name))
        except (UnknownLocaleError, ValueError):
            continue
        tag = name.lower().replace("_", "-")
        if find(table, tag) != formats:
            table[tag] = formats
    english = Locale("en")
    long, plain, short = (translate(pattern, english) for pattern in _PLAIN)
    return {"": (long, plain, short), **table}


def main() -> None:
    """Write the file: each text once, and for each tag the numbers of its three."""
    table = collect()
    texts = sorted({text for formats in table.values() for text in formats})
    numbers = {text: number for number, text in enumerate(texts)}
    tags = {tag: [numbers[text] for text in formats] for tag, formats in table.items()}
    parts = [
        "[\n" + ",\n".join(json.dumps(text, ensure_ascii=False) for text in texts) + "\n]",
        "{\n"
        + ",\n".join(f"{json.dumps(tag)}:{json.dumps(of)}" for tag, of in tags.items())
        + "\n}",
    ]
    TARGET.write_text(f'{{"texts":{parts[0]},\n"tags":{parts[1]}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
