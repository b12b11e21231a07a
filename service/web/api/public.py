"""The public operations: days, papers, search, previews, ready-made topics, sign-up.

Each calls what the page of the same name calls; its first parameter is the application's context.
"""

from fastapi import Request

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.periods import PeriodKind, period_of
from service.papers.store.paper_changes import begin_snapshot
from service.papers.store.read import find_paper, latest_day
from service.platform.database.engine import transaction
from service.presentation.coverage import coverage_text
from service.subscribers.domain.choices import preferences_to_json
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.store.mail_requests import insert_mail_request
from service.subscribers.validate import SignUpError, validate_sign_up
from service.topics.domain.language import canonical, parse_query
from service.topics.domain.ready_made import READY_FIELDS
from service.topics.domain.refinements import Suggestion
from service.topics.live_preview import TooBroad
from service.topics.topics import TopicError
from service.web.api import models
from service.web.api.faults import explain_fields, explain_topic
from service.web.core.context import AppContext, Context
from service.web.core.mail_gate import Visit, may_pass
from service.web.core.problems import ApiProblem
from service.web.core.rate_limits import PER_SCRIPT
from service.web.pages.home import find_come
from service.web.pages.paper import canonical_key, load_page
from service.web.pages.period_page import ListRequest, load_period
from service.web.pages.search import search
from service.web.pages.topics import TOO_BROAD, load_preview

_SENT = "If the address is right, a mail with a link to confirm it is on its way."
_SLOW_SECONDS = 3_600


def get_day(
    context: Context, on: models.DayName, field: models.FieldName = "", page: models.PageNumber = 1
) -> models.Day:
    """Return the papers announced on a day, best first."""
    today = announcement_date(context.clock())
    with transaction(context.sessions) as session:
        if on == "latest":
            chosen = period_of(PeriodKind.DAILY, latest_day(session, today) or today)
        else:
            chosen = find_come(PeriodKind.DAILY, on, today)
        wanted = ListRequest(field=field, page=str(page))
        day = load_period(session, context.settings, chosen, today, wanted)
    coverage = day.coverage
    return models.Day(
        items=models.show_papers(day.listed.items, context.settings),
        page=day.listed.number,
        pages=day.listed.pages,
        total=day.total,
        on=day.period.first,
        field=day.field,
        note=day.silence or day.outage or (coverage_text(coverage) if coverage else ""),
        announced=coverage.announced if coverage else None,
        checked=coverage.checked if coverage else None,
        is_complete=coverage.is_complete if coverage else None,
        earlier=day.earlier.first if day.earlier else None,
        later=day.later.first if day.later else None,
    )


def get_paper(context: Context, key: models.PaperKey) -> models.PaperDetail:
    """Return a paper with its announcements, versions and similar papers."""
    settings = context.settings
    with transaction(context.sessions) as session:
        paper = find_paper(session, key) or find_paper(session, canonical_key(key))
        if paper is None:
            raise ApiProblem(404, "No paper here has this key.")
        found = load_page(session, settings, paper)
    return models.PaperDetail(
        **dict(models.show_paper(paper, settings)),
        comment=paper.comment,
        doi=paper.doi,
        journal_ref=paper.journal_ref,
        code_url=paper.github_url,
        announcements=[
            models.AnnouncementItem.model_validate(each, from_attributes=True)
            for each in found.announcements
        ],
        versions=[
            models.VersionItem.model_validate(each, from_attributes=True) for each in found.versions
        ],
        similar=models.show_papers(found.similar, settings),
    )


def search_papers(
    context: Context, topic: models.Topic, page: models.PageNumber = 1
) -> models.SearchResults:
    """Search all papers by a topic, newest first."""
    try:
        with transaction(context.sessions) as session:
            begin_snapshot(session)
            found = search(context, session, topic, page)
    except TopicError as error:
        raise explain_topic(error) from error
    return models.SearchResults(
        items=models.show_papers(found.listed.items, context.settings),
        page=found.listed.number,
        pages=found.listed.pages,
        total=found.total,
        topic=topic,
        is_cut=found.is_cut,
    )


def preview_topic(context: Context, topic: models.Topic) -> models.PreviewAnswer:
    """Return what a topic would have brought in the last 30 days, and ideas for other topics."""
    try:
        found = load_preview(context, topic)
    except TopicError as error:
        raise explain_topic(error) from error
    except TooBroad as error:
        raise ApiProblem(503, TOO_BROAD, headers={"Retry-After": "60"}) from error
    return models.PreviewAnswer(
        topic=topic,
        canonical=canonical(parse_query(topic)),
        total=found.matched.total,
        volume=found.volume,
        days_known=found.days_known,
        days=[models.DayCount(on=on, count=count) for on, count in found.matched.per_day],
        papers=models.show_papers(found.matched.newest, context.settings),
        narrower=[_to_idea(each) for each in found.narrower],
        instead=[_to_idea(each) for each in found.instead],
    )


def _to_idea(idea: Suggestion) -> models.TopicIdea:
    return models.TopicIdea(topic=idea.topic, says=idea.says, count=idea.count)


def list_ready_topics() -> models.ReadyTopics:
    """Return the ready-made topics by field of research."""
    fields = [
        models.ReadyField(
            name=field.name,
            topics=[
                models.ReadyTopicItem(name=each.name, line=each.line, query=each.query)
                for each in field.topics
            ],
        )
        for field in READY_FIELDS
    ]
    return models.ReadyTopics(fields=fields)


def sign_up(context: Context, request: Request, body: models.SignUp) -> models.Accepted:
    """Ask for a subscription. A mail with a link confirms it; nothing is sent before that."""
    form = _to_form(context, body)
    takes_utf8, now = context.settings.smtputf8, context.clock()
    # A program has no form to fetch: it has the smaller budget, and no proof to give instead.
    visit = Visit(request.client.host if request.client else "", "", "", "")
    try:
        with transaction(context.sessions) as session:
            valid = validate_sign_up(session, form, takes_utf8=takes_utf8)
            passes = may_pass(context, session, visit, valid.email)
            if passes:
                chosen = preferences_to_json(valid.preferences)
                insert_mail_request(session, valid.email, now, choices=chosen, page=valid.page)
    except SignUpError as error:
        raise explain_fields(error) from error
    if not passes:
        wait = {"Retry-After": str(_SLOW_SECONDS)}
        text = f"At most {PER_SCRIPT.amount} sign-ups an hour come from one program; the form on the site takes more."
        raise ApiProblem(429, text, headers=wait)
    context.enqueue("settle_requests")
    return models.Accepted(detail=_SENT)


def _to_form(context: AppContext, body: models.SignUp) -> SignUpForm:
    settings = context.settings
    return SignUpForm(
        email=body.email,
        topics=tuple(topic.query for topic in body.topics),
        names=tuple(topic.name or None for topic in body.topics),
        measures=tuple(topic.comes or None for topic in body.topics),
        cadence=body.cadence,
        hour=str(settings.digest_hour if body.hour is None else body.hour),
        timezone=body.timezone or settings.digest_timezone,
        timing=body.timing,
        page="/api/v1/subscriptions",
    )
