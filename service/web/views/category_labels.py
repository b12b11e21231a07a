"""Category labels for pages: short names for tabs, and the origin of a cross-listed paper."""

from service.papers.domain.categories import category_name
from service.papers.domain.types import AnnounceType, PaperView

# arXiv's own names are too long for a row of tabs; the tab's title has the full name.
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
    """Return a short name: "Language" for `cs.CL`; the code where the name is long and not listed."""
    short = _SHORT_NAMES.get(code)
    if short:
        return short
    name = category_name(code)
    return name if len(name) <= _LONGEST_TAB else code


def origin_category(paper: PaperView) -> str:
    """Return the primary category of a cross-listed paper, or an empty string for other papers."""
    is_guest = paper.announced_as in {AnnounceType.CROSS, AnnounceType.REPLACE_CROSS}
    return paper.primary_category if is_guest else ""


def other_categories(paper: PaperView) -> tuple[str, ...]:
    """Return up to three categories to show with a paper, the primary one first."""
    codes = dict.fromkeys((paper.primary_category, *paper.categories))
    return tuple(code for code in codes if code and code != origin_category(paper))[:3]
