"""Names of invented people: TeX accents, several scripts, affiliations with commas."""

import re
from typing import Final

_GIVEN: Final = r"""
Adaora Benedikt Chiara Dao-Ming Ebba Fionn Greta Hamid Ilse Joaqu\'{\i}n Kalinda Lubom\'{\i}r Maren
Ngozi Oskar Perpetua Quirin Roswitha Saul Tamsin Umar Vesna Wendelin Ximena Yohannes Zelda Anneli
Bo\.zena Cyprian Delphine E. Fernanda Gon\c{c}alo Hyacinth I.~K. Juniper
""".split()  # noqa: SIM905 - a word list of this length reads better than its quoted form
_FAMILY: Final = r"""
Abernethy-Ruiz Bramblewick Castellvi-Ono Dvo\v{r}\'ak-Penn Eastwater Fjeldstad Galbraith-Oduya
Hollowell Ivashenko-Ruth Jankowiak Kestrel-Amadi L{\o}venskiold Marchbanks Nightingale-Rao
\"Ostlund-Perera Pemberthy Quillfeather Rasmusdotter Silberpfennig Tallow-Nguyen Underhay
Vantongeren Wexcombe Xanthopoulou-Bell Yarrowby Zimmerli-Koh Ashgrove
""".split()  # noqa: SIM905 - a word list of this length reads better than its quoted form
_PLAIN_SCRIPTS: Final = (
    "陶 月明",
    "서 나래",
    "رنا الحداد",
    "שירה גולן",
    "Ольга Снегирёва",
    "Θάλεια Νέστορος",
)
_PLACES: Final = (
    "Dept. of Applied Curiosity, University of Lower Saxby",
    "Institute for Slow Computing, Brakkenfjord, Norway",
    "School of Informatics, Highmoor College",
    "Laboratory for Everyday Problems, Port Amarelo",
)
# A comma that is outside of parentheses and is not followed by a suffix such as `Jr.`.
_BETWEEN_NAMES: Final = re.compile(r",\s+(?![^()]*\))(?!Jr\.|Sr\.|I{2,3}\b)")
_AFFILIATION: Final = re.compile(r"\s*\([^()]*\)")


def crowd(count: int) -> tuple[str, ...]:
    """Return `count` different names; at most the product of the two lists (972)."""
    pairs = [f"{given} {family}" for family in _FAMILY for given in _GIVEN]
    stride = 599  # coprime to 972, so no name comes twice and neighbours differ in both parts
    return tuple(pairs[(place * stride) % len(pairs)] for place in range(count))


def creator(seed: int) -> str:
    """Return one to seven authors in one string, as arXiv writes them, determined by the seed."""
    names = list(crowd(len(_GIVEN) * len(_FAMILY))[seed % 900 :][: 1 + seed % 7])
    if seed % 6 == 0:
        names.append(_PLAIN_SCRIPTS[seed // 6 % len(_PLAIN_SCRIPTS)])
    if seed % 5 == 0:
        names[0] += f" ({_PLACES[seed // 5 % len(_PLACES)]})"
    return ", ".join(names)


def names_in(creator: str) -> tuple[str, ...]:
    """Return the names in a string of authors, without affiliations."""
    return tuple(_AFFILIATION.sub("", name).strip() for name in _BETWEEN_NAMES.split(creator))
