"""Feed formats: Atom, RSS and JSON.

Atom by RFC 4287, RSS 2.0 by https://www.rssboard.org/rss-specification with the elements that the
RSS Board's profile recommends (`atom:link`, `dc:creator`), JSON Feed by version 1.1
(https://www.jsonfeed.org/version/1.1/).
"""

import json
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final
from xml.etree import ElementTree as ET

from service.messages.contexts.base import BRAND
from service.presentation.sanitize import clean

_ATOM: Final = "http://www.w3.org/2005/Atom"
_DUBLIN_CORE: Final = "http://purl.org/dc/elements/1.1/"


@dataclass(frozen=True, slots=True)
class Entry:
    """One feed entry; `html` is its content. `url` is also its identifier, where there is no `id`."""

    url: str
    title: str
    html: str
    published_at: datetime
    authors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    source_url: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed. `url` is its own address, `page_url` that of the page with the same papers.

    `changed_at` is when the newest of its papers came or changed; 1970-01-01 for an empty feed.
    """

    title: str
    url: str
    page_url: str
    entries: tuple[Entry, ...]
    changed_at: datetime


def write_atom(feed: Feed) -> bytes:
    """Return the feed as Atom (RFC 4287)."""
    root = ET.Element("feed", xmlns=_ATOM)
    _add(root, "id", feed.url)
    _add(root, "title", feed.title)
    _add(root, "updated", _stamp(feed.changed_at))
    _add(root, "link", rel="self", type="application/atom+xml", href=feed.url)
    _add(root, "link", rel="alternate", type="text/html", href=feed.page_url)
    # Default author of entries without one (RFC 4287, section 4.1.1).
    _add(_add(root, "author"), "name", BRAND)
    for entry in feed.entries:
        _add_entry(_add(root, "entry"), entry)
    return _serialize(root)


def _add_entry(parent: ET.Element, entry: Entry) -> None:
    _add(parent, "id", entry.id or entry.url)
    _add(parent, "title", entry.title)
    _add(parent, "published", _stamp(entry.published_at))
    _add(parent, "updated", _stamp(entry.published_at))
    _add(parent, "link", rel="alternate", type="text/html", href=entry.url)
    if entry.source_url:
        _add(parent, "link", rel="via", href=entry.source_url)
    for name in entry.authors:
        _add(_add(parent, "author"), "name", name)
    for tag in entry.tags:
        _add(parent, "category", term=tag)
    _add(parent, "content", entry.html, type="html")


def write_rss(feed: Feed) -> bytes:
    """Return the feed as RSS 2.0."""
    namespaces = {"xmlns:atom": _ATOM, "xmlns:dc": _DUBLIN_CORE}
    root = ET.Element("rss", {"version": "2.0", **namespaces})
    channel = ET.SubElement(root, "channel")
    _add(channel, "title", feed.title)
    _add(channel, "link", feed.page_url)
    _add(channel, "description", f"{feed.title}: new papers, newest first")
    _add(channel, "language", "en")
    _add(channel, "lastBuildDate", format_datetime(feed.changed_at))
    _add(channel, "atom:link", rel="self", type="application/rss+xml", href=feed.url)
    for entry in feed.entries:
        item = _add(channel, "item")
        _add(item, "title", entry.title)
        _add(item, "link", entry.url)
        _add(item, "description", entry.html)
        for name in entry.authors:
            _add(item, "dc:creator", name)
        for tag in entry.tags:
            _add(item, "category", tag)
        _add(item, "guid", entry.url, isPermaLink="true")
        _add(item, "pubDate", format_datetime(entry.published_at))
    return _serialize(root)


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, {name: clean(attributes[name]) for name in attributes})
    element.text = clean(text) or None
    return element


def _serialize(root: ET.Element) -> bytes:
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_json(feed: Feed) -> bytes:
    """Return the feed as JSON Feed 1.1."""
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "home_page_url": feed.page_url,
        "feed_url": feed.url,
        "language": "en",
        "items": [_to_item(entry) for entry in feed.entries],
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _to_item(entry: Entry) -> dict[str, object]:
    item: dict[str, object] = {
        "id": entry.url,
        "url": entry.url,
        "title": entry.title,
        "content_html": entry.html,
        "date_published": _stamp(entry.published_at),
        "authors": [{"name": name} for name in entry.authors],
        "tags": list(entry.tags),
    }
    return {**item, "external_url": entry.source_url} if entry.source_url else item
