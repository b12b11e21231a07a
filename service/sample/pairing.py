"""Papers generated from an idea and a setting of one field, paired differently on every sample day.

Ten fields with eight ideas and eight settings each give eighty papers a day, and the same pair
returns after eight weekdays. It is deterministic: a date always gives the same papers.
"""

from typing import Any, Final
from zlib import crc32

from service.platform.caches import cached
from service.sample.manuscripts import Manuscript, marked, tables
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
_REVISED_STEP: Final = 13


@cached("sample pairs", maxsize=16)
def paired(shift: int) -> tuple[Manuscript, ...]:
    """Return the generated papers of one sample day; `shift` counts weekdays."""
    papers: list[Manuscript] = []
    for field in (field for name in _FILES for field in tables(name, "field")):
        for place, idea in enumerate(field["idea"]):
            categories = field["categories"][(place + shift) % len(field["categories"])]
            setting = field["setting"][(place * 3 + shift) % len(field["setting"])]
            papers.append(_manuscript(len(papers), shift, categories, idea, setting))
    return tuple(papers)


def _manuscript(
    place: int, shift: int, categories: str, idea: dict[str, Any], setting: dict[str, Any]
) -> Manuscript:
    seed = crc32(f"{idea['name']}/{setting['name']}".encode())
    values = _values(idea, setting, seed)
    return Manuscript(
        title=_TITLES[(place + shift) % len(_TITLES)].format_map(values),
        abstract=marked(_ABSTRACTS[(place + shift) % len(_ABSTRACTS)].format_map(values)),
        creator=creator(seed),
        categories=tuple(categories.split()),
        is_revised=place % _REVISED_STEP == shift % _REVISED_STEP,
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
