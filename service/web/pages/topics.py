"""The topic language page, and previews of a topic over the last 30 days."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from service.papers.best_of_day import find_best_of_day
from service.papers.domain.announcement_days import announcement_date
from service.platform.database.engine import transaction
from service.presentation.sanitize import clean
from service.similarity.availability import is_available
from service.subscribers.validate import topic_fault
from service.topics.domain.language import canonical, leaf_texts, parse_query
from service.topics.domain.measure import MeasureError, describe_measure, parse_measure
from service.topics.domain.refinements import Suggestion
from service.topics.domain.types import TopicMeasure
from service.topics.live_preview import TooBroad
from service.topics.preview_lookup import LivePreview
from service.topics.topics import TopicError, TopicPreview
from service.web.core.admission import PREVIEW, take_tokens
from service.web.core.context import AppContext, Context
from service.web.core.rate_limits import PREVIEW_WORK
from service.web.core.signed_links import sign_form
from service.web.pages.subscribe import SignUpPost
from service.web.views.charts import Chart, chart_days
from service.web.views.labels import volume
from service.web.views.sign_up_form import (
    TypedForm,
    blank_form,
    point_at,
    with_example,
    with_faults,
)

TOO_BROAD: Final = (
    "This topic is too broad to preview quickly. You can save it as it is, or add a word to make "
    "the preview faster."
)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """The preview of a topic: papers, chart, volume in words, and words to highlight.

    `days_known` is the number of days with data; the volume is computed from these, so that a new
    service does not underestimate it.
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
        """Return the sentence above the suggestions; empty where there are none."""
        if self.narrower:
            return "That is a lot. Narrower topics, with papers in 30 days:"
        if self.instead and not self.matched.total:
            return "No papers in 30 days. Did you mean:"
        return "Did you mean, with papers in 30 days:" if self.instead else ""


def load_preview(context: AppContext, text: str) -> PreviewPage:
    """Return the preview. Raises `TopicError`, and `TooBroad` where it would take too long."""
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
    """Show the topic language by example."""
    with transaction(context.sessions) as session:
        can_compare = is_available(session)
    return context.pages.show("topics.html", can_compare=can_compare)


@router.get("/topics/preview", dependencies=PREVIEW)
def show_preview(context: Context, request: Request, q: str = "", comes: str = "") -> Response:
    """Show the matches of the last 30 days, as JSON where the client accepts only JSON."""
    text = clean(q).strip()
    accepted = request.headers.get("accept", "")
    if "application/json" in accepted and "text/html" not in accepted:
        return _answer_json(context, text)
    form = blank_form(context.settings, sign_form(context))
    return _show(context, form, text, _read_measure(comes))


def _read_measure(text: str) -> str:
    """Return how a saved topic's papers come, empty where that is at once."""
    try:
        measure = parse_measure(clean(text)[:64])
    except MeasureError:
        return ""
    return "" if measure == TopicMeasure() else describe_measure(measure)


async def _take_posted(context: Context, request: Request, posted: SignUpPost) -> TypedForm:
    """Return the posted form, once the tokens of its topic are taken."""
    typed = posted.typed
    if posted.instead:
        typed = replace(typed, topics=(posted.instead, *typed.topics[1:]))
    await take_tokens(context, request, PREVIEW_WORK, _first_topic(typed))
    return typed


@router.post("/topics/preview", dependencies=PREVIEW)
def preview_form(
    context: Context, typed: Annotated[TypedForm, Depends(_take_posted)]
) -> HTMLResponse:
    """Show the same for a posted sign-up form and keep its values. Nothing is stored.

    A POST, because a GET would write the visitor's address into logs and histories.
    """
    return _show(context, with_example(typed, context.clock()), _first_topic(typed))


def _first_topic(typed: TypedForm) -> str:
    return typed.topics[0] if typed.topics else ""


@router.get("/topics/preview/live", dependencies=PREVIEW)
def show_live(context: Context, q: str = "") -> JSONResponse:
    """Return HTML fragments for the script while a topic is typed, and a text for screen readers.

    Always 200: an unfinished topic is no error of the request.
    """
    text = clean(q).strip()
    if not text:
        return JSONResponse({"summary": "", "fault": "", "result": ""})
    try:
        preview = load_preview(context, text)
    except TopicError as error:
        fault = context.pages.write("live_fault.html", fault=str(error), pointer=point_at(error))
        return JSONResponse({"summary": str(error), "fault": fault, "result": ""})
    except TooBroad:
        return JSONResponse({"summary": TOO_BROAD, "fault": "", "result": f"<p>{TOO_BROAD}</p>"})
    spoken = f"{preview.volume}. {preview.chart.text} {preview.question}".strip()
    result = context.pages.write("live_preview.html", preview=preview)
    return JSONResponse({"summary": spoken, "fault": "", "result": result})


def _show(context: AppContext, form: TypedForm, text: str, comes: str = "") -> HTMLResponse:
    if not text:
        with transaction(context.sessions) as session:
            best = find_best_of_day(session, announcement_date(context.clock()))
        return context.pages.show("preview.html", form=form, preview=None, notice="", best=best)
    if not form.topics:
        form = TypedForm(topics=(text,), hour=form.hour, timezone=form.timezone, token=form.token)
    try:
        preview = load_preview(context, text)
    except TopicError as error:
        form = with_faults(form, [topic_fault(error)])
        return context.pages.show("preview.html", status=422, form=form, preview=None, notice="")
    except TooBroad:
        return context.pages.show("preview.html", form=form, preview=None, notice=TOO_BROAD)
    return context.pages.show("preview.html", form=form, preview=preview, notice="", comes=comes)


def _answer_json(context: AppContext, text: str) -> JSONResponse:
    try:
        return JSONResponse(_to_json(load_preview(context, text)))
    except TopicError as error:
        body = {"error": str(error), "topic": error.topic, "position": error.position}
        return JSONResponse(body, status_code=422)
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
        "narrower": [_suggestion_to_json(suggestion) for suggestion in preview.narrower],
        "instead": [_suggestion_to_json(suggestion) for suggestion in preview.instead],
    }


def _suggestion_to_json(suggestion: Suggestion) -> dict[str, Any]:
    return {"topic": suggestion.topic, "says": suggestion.says, "count": suggestion.count}
