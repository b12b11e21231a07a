"""Categories as the pages show them: short names for tabs, and where a cross-listed paper is from."""

from service.papers.domain.categories import category_name
from service.papers.domain.types import AnnounceType, PaperView

# arXiv's own names are too long for a row of tabs; the full name stands in the tab's title.
_SHORT_NAMES = {
    "cs.AI": "AI",
    "cs.CL": "Language",
    "cs.CR": "Security",
    "cs.CV": "Vision",
    "cs.CY": "Society",
    "cs.DB": "Databases",
    "cs.DC": "Distributed",
    "cs.DS": "Algorithms",
    "cs.GR": "Graphics",
    "cs.HC": "Interaction",
    "cs.IR": "Retrieval",
    "cs.LG": "Learning",
    "cs.MA": "Multi-agent",
    "cs.NE": "Evolution",
    "cs.RO": "Robotics",
    "cs.SD": "Sound",
    "cs.SE": "Software",
    "stat.ME": "Methodology",
    "stat.ML": "Statistics",
    "eess.AS": "Audio",
    "eess.IV": "Imaging",
    "eess.SP": "Signals",
    "quant-ph": "Quantum",
}
_LONGEST_TAB = 24


def field_name(code: str) -> str:
    """A category in a word or two: `cs.CL` is "Language"; a long unlisted name stays its code."""
    short = _SHORT_NAMES.get(code)
    if short:
        return short
    name = category_name(code)
    return name if len(name) <= _LONGEST_TAB else code


def origin_category(paper: PaperView) -> str:
    """The category a cross-listed paper comes from, or nothing for a paper at home."""
    is_guest = paper.announced_as in {AnnounceType.CROSS, AnnounceType.REPLACE_CROSS}
    return paper.primary_category if is_guest else ""


def other_categories(paper: PaperView) -> tuple[str, ...]:
    """The categories to show in a line of facts, the primary one first, at most three."""
    codes = dict.fromkeys((paper.primary_category, *paper.categories))
    return tuple(code for code in codes if code and code != origin_category(paper))[:3]
