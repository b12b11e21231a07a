"""A sample day has enough invented papers, of every difficult kind, each with its own identifier."""

import re
import unicodedata
from datetime import date, timedelta

import pytest

from service.platform.caches import clear_caches
from service.sample.manuscripts import NOTICE, SAMPLE_DAYS, written
from service.sample.papers import SamplePaper, nearest_weekday, new_papers, sample_day
from service.sample.people import crowd, names_in

TUESDAY = date(2026, 11, 24)
WEEK = [date(2026, 11, 23) + timedelta(days=days) for days in range(7)]
# Every weekday from a Tuesday on until the sample begins again.
EACH_DAY = [
    on
    for on in (TUESDAY + timedelta(days=count) for count in range(22))
    if nearest_weekday(on) == on
]
ON_EACH_DAY = pytest.mark.parametrize("on", EACH_DAY, ids=str)


def test_at_least_fifteen_days_of_over_forty_papers_hold_no_title_twice() -> None:
    assert len(EACH_DAY) == SAMPLE_DAYS >= 15
    days = [new_papers(on) for on in EACH_DAY]
    assert min(map(len, days)) >= 60
    manuscripts = [one.manuscript for day in days for one in day]
    assert len({one.title for one in manuscripts}) == len(manuscripts)
    assert len({one.abstract for one in manuscripts}) == len(manuscripts)


def test_each_paper_written_by_hand_is_new_on_one_day() -> None:
    titles = [one.manuscript.title for on in EACH_DAY for one in new_papers(on)]
    assert len(written()) >= 80
    assert all(titles.count(one.title) == 1 for one in written())


@ON_EACH_DAY
def test_each_watched_category_has_papers_on_each_day(on: date) -> None:
    primary = [one.primary for one in new_papers(on)]
    assert all(primary.count(name) >= 3 for name in ("cs.AI", "cs.CL", "cs.CV", "cs.LG", "stat.ML"))


def test_no_two_papers_of_a_day_share_more_than_half_of_their_sentences() -> None:
    for on in EACH_DAY:
        sentences = [
            set(re.split(r"(?<=[.?!]) ", one.manuscript.abstract.removesuffix(f" {NOTICE}.")))
            for one in new_papers(on)
        ]
        for place, mine in enumerate(sentences):
            for other in sentences[:place]:
                assert len(mine & other) <= len(mine) / 2


@ON_EACH_DAY
def test_every_new_abstract_has_80_to_150_words_and_fits_arxivs_limit(on: date) -> None:
    for paper in new_papers(on):
        assert 80 <= len(paper.manuscript.abstract.split()) <= 150, paper.manuscript.title
        assert len(paper.manuscript.abstract) <= 1920


@ON_EACH_DAY
def test_every_paper_says_that_it_is_invented(on: date) -> None:
    for paper in sample_day(on):
        assert paper.manuscript.abstract.endswith(f"{NOTICE}.")
        assert paper.manuscript.comment.startswith(NOTICE)


def test_identifiers_are_out_of_arxivs_reach_and_in_the_month_of_the_day() -> None:
    for on in (date(2026, 1, 1), date(2026, 12, 31), date(2027, 3, 5)):
        for paper in new_papers(on):
            assert re.fullmatch(rf"{on:%y%m}\.9\d{{4}}", paper.identifier)
            assert paper.version == 1


def test_the_same_date_always_gives_the_same_day() -> None:
    first = sample_day(TUESDAY)
    clear_caches()
    assert sample_day(TUESDAY) == first


def test_every_date_of_two_months_gives_identifiers_of_its_own() -> None:
    days = [date(2026, 11, 1) + timedelta(days=count) for count in range(61)]
    numbers = [one.identifier for on in days if sample_day(on) for one in new_papers(on)]
    assert len(numbers) == len(set(numbers)) > 43 * 60


def test_the_next_day_brings_other_titles() -> None:
    today = {one.manuscript.title for one in new_papers(TUESDAY)}
    tomorrow = {one.manuscript.title for one in new_papers(TUESDAY + timedelta(days=1))}
    assert len(today & tomorrow) == 0


def test_identifiers_grow_in_the_order_of_announcement() -> None:
    numbers = [one.identifier for on in WEEK[:5] for one in new_papers(on)]
    assert numbers == sorted(numbers)


def test_weekends_are_empty_and_the_nearest_weekday_is_the_friday_before() -> None:
    assert [bool(sample_day(on)) for on in WEEK] == [True] * 5 + [False] * 2
    assert [nearest_weekday(on) for on in WEEK] == [*WEEK[:5], WEEK[4], WEEK[4]]


def test_replacements_are_new_versions_of_what_earlier_days_announced() -> None:
    for on in (WEEK[0], TUESDAY, WEEK[4]):
        known = {one.identifier for days in range(1, 6) for one in _new_before(on, days)}
        replaced = [one for one in sample_day(on) if one.is_replacement]
        assert len(replaced) >= 13
        assert not {one.manuscript.title for one in replaced} - _titles_before(on)
        assert {one.identifier for one in replaced} <= known
        assert {one.version for one in replaced} == {2, 3}


def _titles_before(on: date) -> set[str]:
    return {one.manuscript.title for days in range(1, 6) for one in _new_before(on, days)}


def _new_before(on: date, days: int) -> list[SamplePaper]:
    return list(new_papers(nearest_weekday(on - timedelta(days=days))))


@ON_EACH_DAY
def test_no_title_stands_twice_in_one_day(on: date) -> None:
    titles = [one.manuscript.title for one in sample_day(on)]
    assert len(titles) == len(set(titles))


@ON_EACH_DAY
def test_a_paper_is_withdrawn_and_says_why_and_is_never_revised_afterwards(on: date) -> None:
    gone = [one for one in sample_day(on) if "has been withdrawn" in one.manuscript.comment]
    assert 1 <= len(gone) <= 2
    for paper in gone:
        assert paper.version == 2
        assert paper.manuscript.abstract.startswith(
            "This paper has been withdrawn by the authors. "
        )
        assert paper.manuscript.withdrawal in paper.manuscript.abstract
    following = EACH_DAY[(EACH_DAY.index(on) + 1) % SAMPLE_DAYS]
    later = {one.identifier for one in sample_day(following)}
    assert later.isdisjoint(one.identifier for one in gone)


@pytest.mark.parametrize(
    "wanted",
    [
        r"\'e",
        r"$^",
        r"$\mathcal{O}(n \log n)$",
        r"28.82\%",
        r"\textit{K}-trivial",
        "$x<y$",
        r"\varepsilon",
    ],
)
def test_the_days_hold_raw_tex(wanted: str) -> None:
    texts = [
        f"{one.manuscript.title} {one.manuscript.creator} {one.manuscript.abstract}"
        for on in EACH_DAY
        for one in new_papers(on)
    ]
    assert any(wanted in text for text in texts)


@ON_EACH_DAY
def test_each_day_holds_tex_and_authors_in_other_scripts(on: date) -> None:
    papers = [one.manuscript for one in new_papers(on)]
    assert any(r"\%" in one.abstract for one in papers)
    assert any("\\" in one.creator for one in papers)
    letters = {letter for one in papers for letter in one.creator}
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in letters}
    assert len(scripts & {"CJK", "ARABIC", "HEBREW", "CYRILLIC", "GREEK", "HANGUL"}) >= 3


def test_the_days_hold_a_right_to_left_title_and_an_emoji() -> None:
    titles = [one.manuscript.title for on in EACH_DAY for one in new_papers(on)]
    assert any(unicodedata.bidirectional(title[0]) in {"R", "AL"} for title in titles)
    assert any(unicodedata.category(title[0]) == "So" for title in titles)


def test_some_paper_has_300_different_authors_and_the_others_have_fewer_than_twenty() -> None:
    counts = [
        len(set(names_in(one.manuscript.creator))) for on in EACH_DAY for one in new_papers(on)
    ]
    assert max(counts) == 300
    assert sum(count >= 20 for count in counts) == counts.count(300)


@ON_EACH_DAY
def test_affiliations_hold_commas_and_do_not_split_names(on: date) -> None:
    awkward = [
        one.manuscript.creator
        for one in new_papers(on)
        if re.search(r"\([^)]*,[^)]*\)", one.manuscript.creator)
    ]
    assert len(awkward) >= 3
    for creator in awkward:
        assert not any(mark in name for name in names_in(creator) for mark in "(),")


def test_a_suffix_stays_with_its_name() -> None:
    assert names_in("A. Bell Jr., C. Dent, Jr., E. Fry (X, Y), G. Hill") == (
        "A. Bell Jr.",
        "C. Dent, Jr.",
        "E. Fry",
        "G. Hill",
    )


def test_the_crowd_has_no_name_twice_even_when_it_is_everybody() -> None:
    assert len(set(crowd(972))) == 972


@ON_EACH_DAY
def test_papers_were_submitted_before_arxivs_window_closed(on: date) -> None:
    for paper in sample_day(on):
        # 14:00 in New York is 18:00 UTC at the earliest.
        assert paper.submitted_at.date() == nearest_weekday(on - timedelta(days=1))
        assert paper.submitted_at.hour < 18
