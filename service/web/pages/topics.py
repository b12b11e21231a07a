"""Topics before signing up: how to write one, and what it would have brought."""

from dataclasses import dataclass, replace
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from service.papers.domain.announcement_days import announcement_date
from service.platform.database.engine import transaction
from service.presentation.sanitize import clean
from service.subscribers.validate import topic_fault
from service.topics.domain.language import canonical, leaf_texts, parse_query
from service.topics.domain.refinements import Suggestion
from service.topics.live_preview import TooBroad
from service.topics.preview_lookup import LivePreview
from service.topics.topics import TopicError, TopicPreview
from service.web.core.context import AppContext, Context
from service.web.core.signed_links import sign_form
from service.web.pages.subscribe import PostedHere
from service.web.views.charts import Chart, chart_days
from service.web.views.labels import volume
from service.web.views.sign_up_form import TypedForm, blank_form, point_at, with_faults

TOO_BROAD: Final = (
    "This topic is too broad to preview while you wait. It can be saved as it is; one more word "
    "makes it quick."
)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """What a topic would have brought, with its chart, its pace in words and its words to mark.

    `days_known` is on how many days of the span anything was announced here: a new service must
    not promise little because it has not seen much.
    """

    topic: str
    matched: TopicPreview
    chart: Chart
    volume: str
    days_known: int
    words: tuple[str, ...]
    narrower: tuple[Suggestion, ...]
    instead: tuple[Suggestion, ...]

    @property
    def question(self) -> str:
        """What to ask the reader about the suggestions; empty where there are none."""
        if self.narrower:
            return "That is many. Narrower, with papers in 30 days:"
        if self.instead and not self.matched.total:
            return "Nothing in 30 days. Did you mean:"
        return "Did you mean, with papers in 30 days:" if self.instead else ""


def read_preview(context: AppContext, text: str) -> PreviewPage:
    """Raises `TopicError`, and `TooBroad` for what takes too long to preview."""
    with transaction(context.sessions) as session:
        found = context.previews.preview(session, text, announcement_date(context.clock()))
    return _to_preview(text, found)


def _to_preview(text: str, found: LivePreview) -> PreviewPage:
    return PreviewPage(
        topic=text,
        matched=found.matched,
        chart=chart_days(found.matched.per_day),
        volume=volume(found.matched.total, found.days_known),
        days_known=found.days_known,
        words=tuple(sorted(leaf_texts(parse_query(text)))),
        narrower=found.narrower,
        instead=found.instead,
    )


@router.get("/topics")
def show_topics(context: Context) -> HTMLResponse:
    """The topic language in examples."""
    return context.pages.show("topics.html")


@router.get("/topics/preview")
def show_preview(context: Context, request: Request, q: str = "") -> Response:
    """The matches of the last 30 days, as a page or, where only JSON is accepted, as JSON."""
    text = clean(q).strip()
    accepted = request.headers.get("accept", "")
    if "application/json" in accepted and "text/html" not in accepted:
        return _answer_json(context, text)
    return _show(context, blank_form(context.settings, sign_form(context)), text)


@router.post("/topics/preview")
def preview_form(context: Context, posted: PostedHere) -> HTMLResponse:
    """The same for the sign-up form, which keeps what was typed. It changes nothing.

    A POST, because a GET would write the visitor's address into logs and histories.
    """
    typed = posted.typed
    if posted.instead:
        typed = replace(typed, topics=(posted.instead, *typed.topics[1:]))
    return _show(context, typed, typed.topics[0] if typed.topics else "")


@router.get("/topics/preview/live")
def show_live(context: Context, q: str = "") -> JSONResponse:
    """What the script shows while a topic is typed: pieces of the page, and a line read aloud.

    Always 200: a topic that is not finished yet is no error of the page that asks.
    """
    text = clean(q).strip()
    if not text:
        return JSONResponse({"said": "", "fault": "", "result": ""})
    try:
        preview = read_preview(context, text)
    except TopicError as error:
        fault = context.pages.write("live_fault.html", fault=str(error), pointer=point_at(error))
        return JSONResponse({"said": str(error), "fault": fault, "result": ""})
    except TooBroad:
        return JSONResponse({"said": TOO_BROAD, "fault": "", "result": f"<p>{TOO_BROAD}</p>"})
    said = f"{preview.volume}. {preview.chart.text} {preview.question}".strip()
    result = context.pages.write("live_preview.html", preview=preview)
    return JSONResponse({"said": said, "fault": "", "result": result})


def _show(context: AppContext, form: TypedForm, text: str) -> HTMLResponse:
    if not text:
        return context.pages.show("preview.html", form=form, preview=None, notice="")
    if not form.topics:
        form = TypedForm(topics=(text,), hour=form.hour, timezone=form.timezone, token=form.token)
    try:
        preview = read_preview(context, text)
    except TopicError as error:
        form = with_faults(form, [topic_fault(error)])
        return context.pages.show("preview.html", status=422, form=form, preview=None, notice="")
    except TooBroad:
        return context.pages.show("preview.html", form=form, preview=None, notice=TOO_BROAD)
    return context.pages.show("preview.html", form=form, preview=preview, notice="")


def _answer_json(context: AppContext, text: str) -> JSONResponse:
    try:
        return JSONResponse(_to_json(read_preview(context, text)))
    except TopicError as error:
        told = {"error": str(error), "topic": error.topic, "position": error.position}
        return JSONResponse(told, status_code=422)
    except TooBroad:
        return JSONResponse({"error": TOO_BROAD, "topic": text}, status_code=503)


def _to_json(preview: PreviewPage) -> dict[str, Any]:
    return {
        "topic": preview.topic,
        "canonical": canonical(parse_query(preview.topic)),
        "total": preview.matched.total,
        "pace": preview.volume,
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
        "narrower": [_suggestion_to_json(each) for each in preview.narrower],
        "instead": [_suggestion_to_json(each) for each in preview.instead],
    }


def _suggestion_to_json(suggestion: Suggestion) -> dict[str, Any]:
    return {"topic": suggestion.topic, "says": suggestion.says, "count": suggestion.count}
