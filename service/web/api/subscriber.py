"""A reader's own operations: profile, topics, digests, saved papers.

Each calls what the pages of the preferences call; `link` is the verified token of a link.
"""

from dataclasses import replace
from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from service.messages.digest_feed import FeedDigest, load_feed_digests
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose, Token, TokenEnded
from service.subscribers import lifecycle
from service.subscribers.domain.saved import SavedFault, SavedPaper, parse_filter, parse_tags
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.domain.types import Feedback
from service.subscribers.feedback import take_back_feedback
from service.subscribers.private_feed import opens_feed
from service.subscribers.saved_papers import (
    add_tags,
    find_by_address,
    find_saved,
    load_saved,
    save_by_address,
)
from service.subscribers.store.models import Subscriber
from service.subscribers.store.saved import find_saved_ids, update_saved
from service.subscribers.store.subscribers import get_named_topics, get_subscriber
from service.subscribers.stored_form import form_of
from service.subscribers.validate import WEEKDAYS, SignUpError, validate_preferences
from service.topics.edit_by_link import ChangeRefused
from service.web.api import models
from service.web.api import models_subscriber as own
from service.web.api.auth import DigestLink, OwnLink
from service.web.api.faults import explain_fields
from service.web.core.context import AppContext, Context
from service.web.core.problems import ApiProblem, FieldProblem
from service.web.core.signed_links import find_holder
from service.web.views.pagination import cut

_PAGE_SIZE = 20
_NOT_SAVED = "This paper is not among your saved papers."

DigestCount = Annotated[int, Query(ge=1, le=5, description="How many digests make a page.")]
Words = Annotated[
    str, Query(alias="q", max_length=300, description="Words in the papers."), models.Cleaned
]
Tag = Annotated[str, Query(max_length=60, description="One of your tags."), models.Cleaned]


def get_profile(context: Context, link: OwnLink) -> own.Profile:
    """Return the reader's settings and topics."""
    with transaction(context.sessions) as session:
        return _show_profile(session, find_holder(session, link))


def change_profile(context: Context, link: OwnLink, body: own.ProfileChange) -> own.Profile:
    """Change settings; those left out stay."""
    given = body.model_dump(exclude_none=True)
    # The form has numbers as they are typed.
    given |= {name: str(given[name]) for name in ("hour", "full_cards") if name in given}
    if body.max_papers is not None:
        given["max_papers"] = str(body.max_papers or "")
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, link, lock=True)
        form = replace(form_of(session, subscriber), **given)
        _update(context, session, subscriber, form)
        return _show_profile(session, subscriber)


def get_topics(context: Context, link: OwnLink) -> own.OwnTopics:
    """Return the reader's topics."""
    with transaction(context.sessions) as session:
        return own.OwnTopics(topics=_list_topics(session, find_holder(session, link)))


def replace_topics(context: Context, link: OwnLink, body: own.TopicsChange) -> own.OwnTopics:
    """Replace all topics by those of the request; without a name or `comes` a topic keeps its own."""
    topics = tuple(topic.query for topic in body.topics)
    names = tuple(topic.name if "name" in topic.model_fields_set else None for topic in body.topics)
    measures = tuple(topic.comes or None for topic in body.topics)
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, link, lock=True)
        form = form_of(session, subscriber)
        form = replace(form, topics=topics, names=names, measures=measures)
        _update(context, session, subscriber, form)
        return own.OwnTopics(topics=_list_topics(session, subscriber))


def _update(
    context: AppContext, session: Session, subscriber: Subscriber, form: SignUpForm
) -> None:
    try:
        chosen = validate_preferences(session, form, subscriber.id)
    except SignUpError as error:
        raise explain_fields(error) from error
    lifecycle.update_preferences(session, subscriber, chosen, context.clock())


def _show_profile(session: Session, subscriber: Subscriber) -> own.Profile:
    values = {
        name: getattr(subscriber, name) for name in own.Profile.model_fields if name != "topics"
    }
    values["weekly_topics_on"] = WEEKDAYS[subscriber.weekly_topics_on]
    return own.Profile(**values, topics=_list_topics(session, subscriber))


def _list_topics(session: Session, subscriber: Subscriber) -> list[own.TopicItem]:
    topics = get_named_topics(session, [subscriber.id]).get(subscriber.id, [])
    return [own.show_topic(topic) for topic in topics]


def list_digests(
    context: Context, link: DigestLink, page: models.PageNumber = 1, limit: DigestCount = 1
) -> own.Digests:
    """Return the reader's latest digests as they were sent, newest first."""
    with transaction(context.sessions) as session:
        digests = load_feed_digests(session, _find_digest_holder(session, link).id)
    listed = cut(digests, page, limit)
    return own.Digests(
        items=[_show_digest(digest, context.settings) for digest in listed.items],
        page=listed.number,
        pages=listed.pages,
        total=len(digests),
    )


def _find_digest_holder(session: Session, link: Token) -> Subscriber:
    if link.purpose is not Purpose.FEED:
        return find_holder(session, link)
    subscriber = get_subscriber(session, link.subject)
    if subscriber is None or not opens_feed(session, subscriber, link):
        raise TokenEnded
    return subscriber


def _show_digest(digest: FeedDigest, settings: Settings) -> own.DigestItem:
    return own.DigestItem(
        title=digest.title,
        sent_at=digest.sent_at,
        sections=[
            own.DigestSectionItem(
                title=section.title, papers=models.show_papers(section.papers, settings)
            )
            for section in digest.sections
        ],
        updates=[
            own.DigestUpdateItem(paper=models.show_paper(paper, settings), what=what)
            for paper, what in digest.updates
        ],
        cut_count=digest.cut_count,
        silence=digest.silence,
    )


def list_saved(
    context: Context, link: OwnLink, words: Words = "", tag: Tag = "", page: models.PageNumber = 1
) -> own.SavedList:
    """Return the reader's saved papers, or those that a search or a tag finds."""
    with transaction(context.sessions) as session:
        subscriber_id = find_holder(session, link).id
        ids = find_saved_ids(session, subscriber_id, parse_filter(words, tag))
        listed = cut(ids, page, _PAGE_SIZE)
        saved = load_saved(session, subscriber_id, listed.items)
    return own.SavedList(
        items=[_show_saved(each, context.settings) for each in saved],
        page=listed.number,
        pages=listed.pages,
        total=len(ids),
    )


def save_paper(context: Context, link: OwnLink, body: own.SaveRequest) -> own.SavedItem:
    """Save a paper, with tags and a note; twice is once."""
    now = context.clock()
    try:
        tags = parse_tags(",".join(body.tags))
        with transaction(context.sessions) as session:
            subscriber = find_holder(session, link, lock=True)
            saved = save_by_address(session, subscriber, body.paper, now)
            if saved is None:
                raise ApiProblem(404, "No paper here has this address.")
            paper_id = saved.paper.id
            add_tags(session, subscriber.id, paper_id, tags)
            if body.note:
                tagged = find_saved(session, subscriber.id, paper_id) or saved
                update_saved(session, subscriber.id, paper_id, tagged.tags, body.note)
            found = find_saved(session, subscriber.id, paper_id) or saved
    except SavedFault as fault:
        raise ApiProblem(422, errors=[FieldProblem(fault.field, str(fault))]) from fault
    except ChangeRefused as error:
        raise ApiProblem(409, str(error)) from error
    return _show_saved(found, context.settings)


def remove_saved(context: Context, link: OwnLink, key: models.PaperKey) -> None:
    """Remove a saved paper, with its tags and its note."""
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, link, lock=True)
        paper_id = find_by_address(session, key)
        if paper_id is None or find_saved(session, subscriber.id, paper_id) is None:
            raise ApiProblem(404, _NOT_SAVED)
        now = context.clock()
        take_back_feedback(session, subscriber, paper_id, Feedback.KEPT, None, now)


def _show_saved(saved: SavedPaper, settings: Settings) -> own.SavedItem:
    return own.SavedItem(
        paper=models.show_paper(saved.paper, settings),
        saved_at=saved.saved_at,
        tags=list(saved.tags),
        note=saved.note,
    )
