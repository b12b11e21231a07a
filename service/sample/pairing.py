"""Papers generated from an idea and a setting of one field, paired differently on every sample day.

Ten fields with eight ideas and twelve settings each give 960 pairs: sixty papers on each of the 16
sample days, and no pair twice. It is deterministic: a day always has the same papers.
"""

from math import lcm
from typing import Any, Final
from zlib import crc32

from service.platform.caches import cached
from service.sample.manuscripts import SAMPLE_DAYS, Fame, Manuscript, marked, tables
from service.sample.people import creator

_FILES: Final = ("pairs_one", "pairs_two")
_TITLES: Final = (
    "{idea} for {setting}",
    "{promise}: {idea} for {setting}",
    "{setting} With {idea}",
    "{idea}: {promise}, Tried on {setting}",
    "{setting}: What {idea} Can and Cannot Do",
    "{idea}, Seriously? A Study of {setting}",
    "{promise}, With an Application to {setting}",
    "{setting} Revisited: {promise}",
    "{idea} and {setting}: A First Encounter",
)
_ABSTRACTS: Final = (
    "{trouble} {idea} is our answer. {how} {result}",
    "{how} We call the method {idea} and try it on {the_setting}. {trouble} {result}",
    "{trouble} This paper asks whether {idea} helps. {how} {result}",
    "Can {idea} do anything for {the_setting}? {trouble} {how} {result}",
    "{trouble} We introduce {idea}. {how} {result} Most of the gain is owed to the first half of the idea.",
    "Negative results first: {idea} does nothing for easy cases. {trouble} {how} {result}",
    "{how} This is {idea}, and we put it to the test on {the_setting}. {trouble} {result}",
    "{trouble} Enter {idea}. {how} {result} All code runs on a laptop, slowly.",
    "We started with {the_setting} and ended with a general method. {trouble} {how} {result}",
    "{trouble} {how} {result} The method, {idea}, has two parameters, and their defaults were used throughout.",
    "{idea} was built for another purpose. Here it meets {the_setting}. {trouble} {how} {result}",
)
_WITHDRAWALS: Final = (
    "Two of the three data sets turned out to be one.",
    "The second theorem is true only for even numbers.",
    "A unit was wrong in Table 2, and everything after it.",
    "The baseline had been run with the wrong flag, and it wins.",
)
_REVISED_STEP: Final = 7
# Every third paper or so is on Hugging Face's list, about twenty a day, as in reality.
_FAMOUS_STEP: Final = 3
_CODE_STEP: Final = 4
# Coprime to the number of settings, so that a day's settings are from the whole list.
_STRIDE: Final = 5


@cached("sample pairs", maxsize=SAMPLE_DAYS)
def paired(day: int) -> tuple[Manuscript, ...]:
    """Return the generated papers of a sample day, numbered from 0."""
    papers: list[Manuscript] = []
    for field in (field for name in _FILES for field in tables(name, "field")):
        for idea, setting in _pairs(field, day):
            categories = field["categories"][(len(papers) + day) % len(field["categories"])]
            papers.append(_manuscript(len(papers), day, categories, idea, setting))
    return tuple(papers)


def _pairs(field: dict[str, Any], day: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return a day's share of a field's pairs; ideas differ within it, and so do settings.

    A running number selects both. Its pairs return after as many numbers as the counts' least common
    multiple; then the settings move on by one, so that no pair comes twice.
    """
    ideas, settings = field["idea"], field["setting"]
    share, round_length = len(ideas) * len(settings) // SAMPLE_DAYS, lcm(len(ideas), len(settings))
    return [
        (
            ideas[number % len(ideas)],
            settings[(number * _STRIDE + number // round_length) % len(settings)],
        )
        for number in range(day * share, (day + 1) * share)
    ]


def _manuscript(
    place: int, day: int, categories: str, idea: dict[str, Any], setting: dict[str, Any]
) -> Manuscript:
    seed = crc32(f"{idea['name']}/{setting['name']}".encode())
    values = _values(idea, setting, seed)
    is_withdrawn = place == day
    return Manuscript(
        title=_TITLES[(place + day) % len(_TITLES)].format_map(values),
        abstract=marked(_ABSTRACTS[(place + day) % len(_ABSTRACTS)].format_map(values)),
        creator=creator(seed),
        categories=tuple(categories.split()),
        fame=_fame(idea, setting, seed) if seed % _FAMOUS_STEP == 0 else None,
        is_revised=is_withdrawn or place % _REVISED_STEP == day % _REVISED_STEP,
        withdrawal=_WITHDRAWALS[day % len(_WITHDRAWALS)] if is_withdrawn else "",
    )


def _fame(idea: dict[str, Any], setting: dict[str, Any], seed: int) -> Fame:
    """Return what Hugging Face's site would have: most papers few upvotes, some many."""
    has_code = seed // 7 % _CODE_STEP == 0
    return Fame(
        upvotes=2 + seed // 11 % 13 * (seed // 13 % 9),
        comments=seed // 17 % 6,
        stars=seed // 19 % 400 if has_code else None,
        repo=idea["name"].lower().replace(" ", "-") if has_code else "",
        summary=f"{idea['name']} is tried on {setting['name'].lower()}." if has_code else "",
        keywords=(idea["name"].lower(), idea["promise"].lower()) if has_code else (),
    )


def _values(idea: dict[str, Any], setting: dict[str, Any], seed: int) -> dict[str, str]:
    """Return the values of the sentence patterns; `replace`, since `format` would parse TeX braces."""
    count = (120 + seed % 860) * setting.get("scale", 1)
    share = f"{7 + seed % 31}" if seed % 3 else f"{7 + seed % 31}.{1 + seed % 9}"
    return {
        "idea": idea["name"],
        "promise": idea["promise"],
        "how": idea["how"],
        "setting": setting["name"],
        "the_setting": setting["name"].lower(),
        "trouble": setting["trouble"],
        "result": setting["result"].replace("{n}", f"{count:,}").replace("{p}", share),
    }
