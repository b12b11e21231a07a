"""The papers of a sample day: new, replaced and withdrawn ones by date."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zlib import crc32

from service.platform.caches import cached
from service.sample.manuscripts import NOTICE, SAMPLE_DAYS, Manuscript, written
from service.sample.pairing import paired

_SATURDAY: Final = 5
_WORKDAYS: Final = 5
# 31 days of 320 numbers fit into the 10,000 from 90000 on; arXiv issues under 40,000 a month.
_FIRST_NUMBER: Final = 90_000
_NUMBERS_A_DAY: Final = 320
_LICENSES: Final = (
    "http://creativecommons.org/licenses/by/4.0/",
    "http://arxiv.org/licenses/nonexclusive-distrib/1.0/",
    "http://creativecommons.org/licenses/by-nc-sa/4.0/",
    "http://creativecommons.org/publicdomain/zero/1.0/",
)


@dataclass(frozen=True, slots=True)
class SamplePaper:
    """One version of an invented paper. `submitted_at` is aware UTC, of this version."""

    identifier: str
    version: int
    manuscript: Manuscript
    license: str
    submitted_at: datetime

    @property
    def primary(self) -> str:
        return self.manuscript.categories[0]

    @property
    def is_replacement(self) -> bool:
        return self.version > 1


def nearest_weekday(on: date) -> date:
    """Return the date itself, or the Friday before a weekend: the last day with papers."""
    return on - timedelta(days=max(0, on.weekday() - _SATURDAY + 1))


def sample_day(on: date) -> tuple[SamplePaper, ...]:
    """Return all papers announced on a date: new ones by number, then replacements; weekends: none.

    The same date always gives the same papers; another date gives other identifiers, and its
    replacements are new versions of papers of earlier sample days.
    """
    if nearest_weekday(on) != on:
        return ()
    return new_papers(on) + _replacements(on)


@cached("sample papers", maxsize=32)
def new_papers(on: date) -> tuple[SamplePaper, ...]:
    """Return the first versions announced on a weekday, in the order of their identifiers."""
    day = _weekday_count(on) % SAMPLE_DAYS
    manuscripts = written()[day::SAMPLE_DAYS] + paired(day)
    mixed = sorted(manuscripts, key=lambda manuscript: crc32(manuscript.title.encode()))
    return tuple(_first_version(on, place, text) for place, text in enumerate(mixed))


def _first_version(on: date, place: int, manuscript: Manuscript) -> SamplePaper:
    number = _FIRST_NUMBER + (on.day - 1) * _NUMBERS_A_DAY + place
    return SamplePaper(
        identifier=f"{on:%y%m}.{number:05d}",
        version=1,
        manuscript=manuscript,
        license=_LICENSES[place % len(_LICENSES)],
        submitted_at=_submitted_at(on, place),
    )


def _replacements(on: date) -> tuple[SamplePaper, ...]:
    """Return the revised papers of the last weekday as v2, and those of the one before as v3."""
    yesterday = _previous_weekday(on)
    second = [p for p in new_papers(yesterday) if p.manuscript.is_revised]
    third = [p for p in new_papers(_previous_weekday(yesterday)) if p.manuscript.is_revised]
    versions = [_revised(paper, on, 2) for paper in second]
    versions += [_revised(paper, on, 3) for paper in third if not paper.manuscript.withdrawal]
    return tuple(sorted(versions, key=lambda paper: paper.identifier))


def _revised(paper: SamplePaper, on: date, version: int) -> SamplePaper:
    old = paper.manuscript
    new = replace(old, comment=f"{NOTICE}; v{version}: one table corrected")
    if old.withdrawal:
        new = replace(
            old,
            comment=f"{NOTICE}; this paper has been withdrawn",
            abstract=f"This paper has been withdrawn by the authors. {old.withdrawal} {NOTICE}.",
        )
    place = int(paper.identifier[-2:])
    return replace(paper, version=version, manuscript=new, submitted_at=_submitted_at(on, place))


def _submitted_at(on: date, place: int) -> datetime:
    """Return a time in arXiv's window for the announcement: until 14:00 in New York the day before."""
    day_before = datetime.combine(_previous_weekday(on), time(0, 1), tzinfo=UTC)
    return day_before + timedelta(minutes=8 * place, seconds=place * 7 % 60)


def _previous_weekday(on: date) -> date:
    return nearest_weekday(on - timedelta(days=1))


def _weekday_count(on: date) -> int:
    """Return the weekdays since Monday 0001-01-01, so that a Friday and the next Monday differ by 1."""
    weeks, weekday = divmod(on.toordinal() - 1, 7)
    return weeks * _WORKDAYS + min(weekday, _WORKDAYS - 1)
