"""Topics before signing up: how to write one, and what it would have brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlalchemy import true
from sqlalchemy.orm import Session

from service.actions.topics import TopicError, TopicPreview, preview_topic
from service.domain.query import canonical, leaf_texts, parse_query
from service.domain.schedule import announcement_date
from service.mail.safety import clean
from service.store.engine import transaction
from service.store.reading import count_by_day
from service.web.charts import BarChart, chart_days
from service.web.forms import TypedForm, blank_form, with_fault
from service.web.links import sign_form
from service.web.site import Site, SiteHere
from service.web.subscribe import PostedHere
from service.web.wording import pace

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a topic would have brought, with its chart, its pace in words and its words to mark.

    `days_known` is on how many days of the span anything was announced here: a new service must
    not promise little because it has not seen much.
    """

    topic: str
    matched: TopicPreview
    chart: BarChart
    pace: str
    days_known: int
    words: tuple[str, ...]


def read_preview(session: Session, site: Site, text: str) -> Preview:
    """Raises `TopicError`."""
    matched = preview_topic(session, text, announcement_date(site.clock()))
    known = len(count_by_day(session, true(), matched.per_day[0][0]))
    return Preview(
        topic=text,
        matched=matched,
        chart=chart_days(matched.per_day),
        pace=pace(matched.total, known),
        days_known=known,
        words=tuple(sorted(leaf_texts(parse_query(text)))),
    )


@router.get("/topics")
def show_topics(site: SiteHere) -> HTMLResponse:
    """The topic language in examples."""
    return site.pages.show("topics.html")


@router.get("/topics/preview")
def show_preview(site: SiteHere, request: Request, q: str = "") -> Response:
    """The matches of the last 30 days, as a page or, where only JSON is accepted, as JSON."""
    text = clean(q).strip()
    accepted = request.headers.get("accept", "")
    if "application/json" in accepted and "text/html" not in accepted:
        return _answer_json(site, text)
    return _show(site, blank_form(site.settings, sign_form(site)), text)


@router.post("/topics/preview")
def preview_form(site: SiteHere, posted: PostedHere) -> HTMLResponse:
    """The same for the sign-up form, which keeps what was typed. It changes nothing.

    A POST, because a GET would write the visitor's address into logs and histories.
    """
    text = posted.typed.topics[0] if posted.typed.topics else ""
    return _show(site, posted.typed, text)


def _show(site: Site, form: TypedForm, text: str) -> HTMLResponse:
    if not text:
        return site.pages.show("preview.html", form=form, preview=None)
    if not form.topics:
        form = TypedForm(topics=(text,), hour=form.hour, timezone=form.timezone, token=form.token)
    try:
        with transaction(site.sessions) as session:
            preview = read_preview(session, site, text)
    except TopicError as error:
        form = with_fault(form, error)
        return site.pages.show("preview.html", status=422, form=form, preview=None)
    return site.pages.show("preview.html", form=form, preview=preview)


def _answer_json(site: Site, text: str) -> JSONResponse:
    try:
        with transaction(site.sessions) as session:
            preview = read_preview(session, site, text)
    except TopicError as error:
        told = {"error": str(error), "topic": error.topic, "position": error.position}
        return JSONResponse(told, status_code=422)
    return JSONResponse(_to_json(preview))


def _to_json(preview: Preview) -> dict[str, Any]:
    return {
        "topic": preview.topic,
        "canonical": canonical(parse_query(preview.topic)),
        "total": preview.matched.total,
        "pace": preview.pace,
        "days_known": preview.days_known,
        "days": [{"on": str(on), "count": count} for on, count in preview.matched.per_day],
        "papers": [
            {
                "key": paper.key,
                "title": paper.title,
                "authors": list(paper.authors),
                "categories": list(paper.categories),
                "announced_on": str(paper.announced_on),
                "url": paper.url,
            }
            for paper in preview.matched.newest
        ],
    }
