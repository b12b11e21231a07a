"""A year of editions in 42 zones: each mail comes when its subscriber was told, with every day once.

It walks through the functions that the service itself uses: what opens when, when a digest is due,
which digests fall together. What was promised is found apart from them, by reading the clock of each
zone every quarter of an hour.
"""

import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from service.deliveries.domain.recipients import Cadence, Timing
from service.editions.domain import schedule
from service.papers.domain.announcement_days import ARXIV_ZONE, DEADLINE_HOUR, announcement_date
from service.papers.domain.completeness import BatchStatus
from service.papers.domain.types import BatchState
from service.platform.time_zones import subscriber_hour

# Zones far east and west, by half hours and quarters, and with changes of clocks of every kind: by
# half an hour, by two hours, at midnight, in Ramadan, on Saturdays.
ZONES = (
    "Pacific/Kiritimati", "Pacific/Apia", "Pacific/Tongatapu", "Pacific/Chatham", "Pacific/Auckland",
    "Pacific/Norfolk", "Australia/Sydney", "Australia/Lord_Howe", "Australia/Adelaide",
    "Australia/Brisbane", "Asia/Tokyo", "Asia/Seoul", "Australia/Eucla", "Asia/Shanghai",
    "Asia/Singapore", "Asia/Yangon", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Karachi", "Asia/Kabul",
    "Asia/Tehran", "Asia/Gaza", "Asia/Jerusalem", "Europe/Moscow", "Africa/Cairo", "Europe/Berlin",
    "Africa/Casablanca", "Antarctica/Troll", "Europe/London", "UTC", "Atlantic/Azores",
    "America/Nuuk", "America/Sao_Paulo", "America/St_Johns", "America/Santiago", "America/Havana",
    "America/New_York", "America/Chicago", "America/Los_Angeles", "Pacific/Easter",
    "Pacific/Marquesas", "Pacific/Honolulu",
)  # fmt: skip
HOURS = (0, 2, 6, 7, 9, 14, 18, 23)
FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)
DAYS = schedule.days_between(FIRST, LAST)
HOLIDAYS = {date(2026, 1, 1), date(2026, 7, 3), date(2026, 11, 26), date(2026, 12, 25)}
ANNOUNCED = [day for day in DAYS if day.weekday() < 5 and day not in HOLIDAYS]

# Less than the service allows for it.
COMPOSING = timedelta(minutes=4)
PROMISED = timedelta(minutes=10)
HOUR = timedelta(hours=1)
# Those that are walked in every zone at every hour.
CADENCES = (Cadence.DAILY, Cadence.WEEKDAYS, Cadence.WEEKLY)
DueRule = Callable[[Cadence, date, datetime, int, str, Timing], datetime]
JoinRule = Callable[[datetime, datetime], bool]


def completed_at(day: date) -> datetime:
    """Return when a day's batches are in: shortly after midnight in New York, often, or late."""
    at = time(0, 20 + day.toordinal() % 21)
    if day in HOLIDAYS or day.toordinal() % 23 == 0:
        at = time(DEADLINE_HOUR)
    elif day.weekday() < 5 and day.toordinal() % 9 == 0:
        at = time(8)
    return datetime.combine(day, at, tzinfo=ARXIV_ZONE).astimezone(UTC)


@dataclass(frozen=True)
class Opened:
    cadence: Cadence
    on: date
    at: datetime
    days: tuple[date, ...]


@cache
def open_year() -> tuple[Opened, ...]:
    """Return the editions of the year, as beat opens them within a minute."""
    ticks = {completed_at(day) for day in DAYS}
    ticks |= {datetime.combine(day, time(9, 1), tzinfo=UTC) for day in DAYS}
    newest = {cadence: FIRST - timedelta(days=1) for cadence in Cadence}
    # Their editions of this day opened the day before.
    newest |= {Cadence.WEEKLY_THURSDAY: FIRST, Cadence.MONTHLY: FIRST}
    found = []
    for now in sorted(ticks):
        batches = [
            BatchStatus("arxiv", "cs.CL", day, state_of(day, now))
            for day in schedule.days_between(
                announcement_date(now) - HOUR * 96, announcement_date(now)
            )
        ]
        for cadence, on in schedule.editions_due(now, batches, newest):
            days = schedule.covered_days(cadence, on, newest[cadence])
            found.append(Opened(cadence, on, now, tuple(day for day in days if day in ANNOUNCED)))
            newest[cadence] = on
    return tuple(found)


def state_of(day: date, now: datetime) -> BatchState:
    return BatchState.COMPLETE if now >= completed_at(day) else BatchState.EXPECTED


@cache
def read_clock(zone: str) -> Mapping[int, Sequence[tuple[datetime, date]]]:
    """Return, by hour, the first moment of each date at which the clock shows it or has skipped it.

    Where the clock skips the end of a day, that is when it shows the day's last hour.
    """
    place = ZoneInfo(zone)
    began: dict[date, dict[int, datetime]] = {}
    at = datetime.combine(FIRST - timedelta(days=2), time(0), tzinfo=UTC)
    while at.date() < LAST + timedelta(days=8):
        local = at.astimezone(place)
        began.setdefault(local.date(), {}).setdefault(local.hour, at)
        at += timedelta(minutes=15)
    return {
        hour: [
            (next((at for shown, at in hours.items() if shown >= hour), hours[max(hours)]), on)
            for on, hours in began.items()
        ]
        for hour in HOURS
    }


@cache
def occasions(zone: str, hour: int, cadence: Cadence) -> tuple[list[datetime], list[date]]:
    """Return the moments of an hour on the days of a cadence, and their local dates."""
    pairs = [(at, on) for at, on in read_clock(zone)[hour] if schedule.is_cadence_day(cadence, on)]
    return [at for at, _ in pairs], [on for _, on in pairs]


@dataclass
class Mail:
    at: datetime
    due: datetime
    promised: datetime
    editions: list[Opened]


@dataclass(frozen=True)
class Choice:
    """What a subscriber chose."""

    zone: str
    hour: int
    cadence: Cadence
    timing: Timing

    def promise(self, edition: Opened) -> datetime:
        """Return when the form says that an edition's mail comes."""
        local = edition.at.astimezone(ZoneInfo(self.zone)).date()
        is_at_once = self.timing is Timing.WHEN_COMPLETE and not self.cadence.collects_days
        if is_at_once and schedule.is_cadence_day(self.cadence, local):
            return edition.at
        moments, _ = occasions(self.zone, self.hour, self.cadence)
        return moments[bisect_left(moments, edition.at + schedule.COMPOSING)]


@dataclass
class Walk:
    """The mails of one year under some rules; `broken` are the promises that they break."""

    due_rule: DueRule = schedule.due_at
    join_rule: JoinRule = schedule.falls_together
    broken: list[str] = field(default_factory=list)
    worst: timedelta = timedelta(0)
    longest: Counter[tuple[str, int, Cadence, Timing]] = field(default_factory=Counter)
    counts: Counter[tuple[str, int, Cadence, Timing]] = field(default_factory=Counter)

    def go(
        self, zones: Sequence[str], hours: Sequence[int], cadences: Sequence[Cadence] = CADENCES
    ) -> "Walk":
        for zone in zones:
            for hour in hours:
                for cadence in cadences:
                    for timing in Timing:
                        choice = Choice(zone, hour, cadence, timing)
                        mails = self.send(choice)
                        self.broken += [f"{choice}: {fault}" for fault in self.check(choice, mails)]
        return self

    def send(self, choice: Choice) -> list[Mail]:
        """Return the mails of a year, those merged that fall together and still wait."""
        mails: list[Mail] = []
        for edition in open_year():
            if edition.cadence is not choice.cadence:
                continue
            due = self.due_rule(
                edition.cadence, edition.on, edition.at, choice.hour, choice.zone, choice.timing
            )
            composed = edition.at + COMPOSING
            mail = Mail(max(due, composed), due, choice.promise(edition), [edition])
            while mails and mails[-1].at >= composed and self.join_rule(mails[-1].due, due):
                mail.editions += mails.pop().editions
            mails.append(mail)
        return mails

    def check(self, choice: Choice, mails: Sequence[Mail]) -> Iterator[str]:
        place, key = (
            ZoneInfo(choice.zone),
            (choice.zone, choice.hour, choice.cadence, choice.timing),
        )
        days = Counter(day for mail in mails for one in mail.editions for day in one.days)
        wanted = self.days_of(choice.cadence)
        if days != Counter(wanted):
            yield "not every announced day is in exactly one mail"
        dates: Counter[date] = Counter()
        for mail in mails:
            self.worst = max(self.worst, abs(mail.at - mail.promised))
            if not mail.promised <= mail.at <= mail.promised + PROMISED:
                yield f"the mail of {mail.promised} came at {mail.at}"
            if any(mail.at > choice.promise(one) + PROMISED for one in mail.editions):
                yield f"the mail of {mail.at} has papers that should have come earlier"
            local = mail.at.astimezone(place).date()
            if not schedule.is_cadence_day(choice.cadence, local):
                yield f"a {choice.cadence} mail came on {local:%A %d %B}"
            dates[local] += 1
            waited = max(
                mail.at - completed_at(day)
                for one in mail.editions
                for day in one.days or (mail.editions[0].on,)
            )
            self.longest[key] = max(self.longest[key], int(waited / HOUR + 0.5))
        self.counts[key] = len(mails)
        if choice.timing is Timing.AT_HOUR:
            yield from (f"{count} mails on {on}" for on, count in dates.items() if count > 1)
        yield from self.check_gaps(choice, mails)

    def check_gaps(self, choice: Choice, mails: Sequence[Mail]) -> Iterator[str]:
        """Only what waits for a weekday may come shortly before what is sent at once."""
        for first, second in pairwise(mails):
            was_held = choice.timing is Timing.WHEN_COMPLETE and first.due > first.editions[0].at
            if second.at - first.at < HOUR and not was_held:
                yield f"two mails in an hour: {first.at} and {second.at}"

    @staticmethod
    def days_of(cadence: Cadence) -> list[date]:
        """Return the announced days of the editions of the year; of weekly ones, of whole weeks."""
        last = max(one.on for one in open_year() if one.cadence is cadence)
        return [day for day in ANNOUNCED if day <= schedule.last_covered(cadence, last)]

    def table(self, cadence: Cadence, timing: Timing) -> Iterator[str]:
        yield f"\n{cadence}, {timing}: hours from the complete day to the mail, and mails a year"
        yield f"{'zone':20}" + "".join(f"{f'{hour:02}:00':>10}" for hour in HOURS)
        for zone in ZONES:
            keys = [(zone, hour, cadence, timing) for hour in HOURS]
            cells = (f"{f'{self.longest[key]} ({self.counts[key]})':>10}" for key in keys)
            yield f"{zone:20}" + "".join(cells)


def test_each_mail_of_a_year_comes_when_it_was_promised_in_every_zone() -> None:
    assert (len(set(ZONES)), len(HOURS)) == (42, 8)
    walk = Walk().go(ZONES, HOURS)
    for cadence in CADENCES:
        for timing in Timing:
            sys.stdout.writelines(f"{line}\n" for line in walk.table(cadence, timing))
    sys.stdout.write(f"\nthe longest time from what was promised to the mail: {walk.worst}\n")
    assert walk.broken == []
    assert walk.worst <= PROMISED
    tokyo = [walk.counts["Asia/Tokyo", 7, cadence, Timing.AT_HOUR] for cadence in CADENCES]
    assert tokyo == [365, 261, 52]


def test_mails_of_a_weekday_and_of_a_month_come_on_their_day_with_every_day_once() -> None:
    zones, cadences = (
        ["Asia/Tokyo", "Europe/Berlin", "Pacific/Honolulu"],
        [Cadence.WEEKLY_THURSDAY, Cadence.MONTHLY],
    )
    walk = Walk().go(zones, [7, 18], cadences)
    assert walk.broken == []
    assert [walk.counts["Asia/Tokyo", 7, one, Timing.AT_HOUR] for one in cadences] == [52, 12]


def hour_of_the_same_day(
    _cadence: Cadence, on: date, opened_at: datetime, hour: int, zone: str, _timing: Timing
) -> datetime:
    """Return when digests were due before: at the hour of the edition's date, or as it is opened."""
    return max(opened_at, subscriber_hour(on, hour, zone))


def test_the_walk_finds_mails_at_other_hours() -> None:
    broken = Walk(due_rule=hour_of_the_same_day).go(["Asia/Tokyo", "Europe/Berlin"], [7, 14]).broken
    assert any("Asia/Tokyo" in one and "hour=7" in one and "came at" in one for one in broken)
    assert any("a weekdays mail came on Saturday" in one for one in broken)


def test_the_walk_finds_mails_that_are_not_merged() -> None:
    broken = Walk(join_rule=lambda _earlier, _due: False).go(["Asia/Tokyo"], [14]).broken
    assert any("2 mails on" in one for one in broken)
    assert any("two mails in an hour" in one for one in broken)


def test_digests_fall_together_that_would_come_within_an_hour_or_in_the_wrong_order() -> None:
    due = datetime(2026, 9, 21, 7, tzinfo=UTC)
    apart = {-60: False, -59: True, 0: True, 30: True, 3 * 24 * 60: True}
    for minutes, together in apart.items():
        assert schedule.falls_together(due + timedelta(minutes=minutes), due) is together
