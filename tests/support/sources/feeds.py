"""arXiv's feed as XML, for days that a test invents."""

from dataclasses import dataclass
from datetime import date, datetime, time
from email.utils import format_datetime
from html import escape
from zoneinfo import ZoneInfo

_HEAD = """<?xml version='1.0' encoding='UTF-8'?>
<rss xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/"
     version="2.0"><channel><title>cs.CL updates on arXiv.org</title>
<pubDate>{rendered}</pubDate>
<skipDays><day>Sunday</day><day>Saturday</day></skipDays>
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of a feed; `number` 1 is the identifier 2609.00001."""

    number: int
    announce_type: str = "new"
    version: int = 1
    title: str = ""
    abstract: str = "An abstract about words."
    categories: tuple[str, ...] = ("cs.CL",)

    @property
    def identifier(self) -> str:
        return f"2609.{self.number:05d}"

    @property
    def key(self) -> str:
        return f"arxiv:{self.identifier}"


def render_feed(on: date, *entries: Told, extra: str = "") -> bytes:
    """Return the feed of a day as rss.arxiv.org writes it, with `extra` as raw XML after the items."""
    midnight = datetime.combine(on, time(), tzinfo=ZoneInfo("America/New_York"))
    head = _HEAD.format(rendered=format_datetime(midnight))
    items = "".join(_render_item(entry) for entry in entries)
    return f"{head}{items}{extra}</channel></rss>".encode()


def _render_item(entry: Told) -> str:
    stamp = f"{entry.identifier}v{entry.version}"
    title = entry.title or f"Paper number {entry.number}"
    categories = "".join(f"<category>{name}</category>" for name in entry.categories)
    return f"""<item><title>{escape(title)}</title>
<link>https://arxiv.org/abs/{entry.identifier}</link>
<description>arXiv:{stamp} Announce Type: {entry.announce_type}
Abstract: {escape(entry.abstract)}</description>
<guid isPermaLink="false">oai:arXiv.org:{stamp}</guid>{categories}
<arxiv:announce_type>{entry.announce_type}</arxiv:announce_type>
<dc:creator>Ada Lovelace, Grace Hopper</dc:creator></item>
"""
