"""The pages that save a paper or mark it “less like this”; a paper is never both."""

from dataclasses import replace
from datetime import date, datetime

from sqlalchemy.orm import Session

from service.editions.domain.learned_order import FEWEST_SIGNALS
from service.editions.domain.recommendations import FEWEST_KEPT
from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers
from service.platform.settings.settings import Settings
from service.subscribers.domain.saved import SavedFault, parse_tags
from service.subscribers.domain.types import Feedback
from service.subscribers.feedback import find_matching_topic, rate_paper
from service.subscribers.saved_papers import add_tags
from service.subscribers.store.feedback import Rating, find_rating, get_rated_papers
from service.subscribers.store.models import Subscriber
from service.web.core.errors import PageNotFound
from service.web.pages.change_page import ChangePage, Fields, LinkRequest, offer_mutes

_VERBS = {"keep": Feedback.KEPT, "less": Feedback.DISMISSED}


def ask_for_feedback(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, until: date
) -> ChangePage:
    """Return the page of a link that saves a paper or marks it “less like this”."""
    paper, kind = find_paper(session, link.number), _VERBS[link.verb]
    previous = find_rating(session, subscriber.id, paper.id)
    if previous and previous.kind is kind:
        page = _feedback_page(session, subscriber, paper, kind, previous)
    else:
        page = _feedback_question(session, subscriber, paper, kind, previous)
    if kind is Feedback.KEPT:
        return page
    topic = find_matching_topic(session, settings, subscriber, paper.id)
    offers = offer_mutes(session, settings, topic, paper, until) if topic else None
    return replace(page, offers=offers)


def _feedback_question(
    session: Session,
    subscriber: Subscriber,
    paper: PaperView,
    kind: Feedback,
    previous: Rating | None,
) -> ChangePage:
    """Return the question; where the paper has the other feedback, which of the two should hold."""
    over = (("over", previous.kind.value),) if previous else ()
    if kind is Feedback.KEPT:
        fields = (("keep", str(paper.id)), *over)
        lead = "It is added to the saved papers in your preferences; papers like it come earlier under your topics."
        if not previous:
            return ChangePage(
                "Save this paper?", lead, "Save", fields, paper=paper, takes_tags=True
            )
        heading = "You marked this paper “less like this”"
        lead = "Saving it takes that back: a paper can be one or the other. Which should hold?"
        other = ("Leave it at “less like this”", f"?less={paper.id}")
        return ChangePage(
            heading, lead, "Save it instead", fields, paper=paper, other=other, takes_tags=True
        )
    fields = (("less", str(paper.id)), *over)
    effect = describe_less(subscriber, _count_saved(session, subscriber, but=paper.id))
    if not previous:
        return ChangePage("Less like this?", effect, "Less like this", fields, paper=paper)
    lead = (
        f"Marking it “less like this” takes it from your saved papers. {effect} Which should hold?"
    )
    other = ("Keep it saved", f"?keep={paper.id}")
    heading = "You saved this paper"
    return ChangePage(heading, lead, "Less like this instead", fields, paper=paper, other=other)


def rate(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, now: datetime
) -> ChangePage:
    """Record the feedback, unless it would replace other feedback that the form did not show.

    Tags are added to those that a saved paper has, which this link does not show.
    """
    paper, kind = find_paper(session, link.number), _VERBS[link.verb]
    previous = find_rating(session, subscriber.id, paper.id)
    if previous and previous.kind not in {kind, link.over}:
        page = ask_for_feedback(session, settings, subscriber, link, announcement_date(now))
        return replace(page, is_refused=True)
    try:
        # A fault in the tags takes back what was saved with them.
        with session.begin_nested():
            rate_paper(session, subscriber, paper.id, kind, now)
            if kind is Feedback.KEPT:
                add_tags(session, subscriber.id, paper.id, parse_tags(link.tags))
    except SavedFault as fault:
        page = _feedback_question(session, subscriber, paper, kind, previous)
        return replace(page, is_refused=True, typed_tags=link.tags, fault=str(fault))
    return _feedback_page(session, subscriber, paper, kind, previous)


def _feedback_page(
    session: Session,
    subscriber: Subscriber,
    paper: PaperView,
    kind: Feedback,
    previous: Rating | None,
) -> ChangePage:
    fields: Fields = (("paper", str(paper.id)), ("rating", kind.value))
    # Where the same feedback was given before, undo removes it.
    if previous and previous.kind is not kind:
        fields += (("was", previous.kind.value), ("since", previous.at.isoformat()))
    if kind is Feedback.KEPT:
        lead = "Your preferences list all your saved papers, with their tags and notes."
        return ChangePage("Saved", lead, fields=fields, paper=paper)
    lead = describe_less(subscriber, _count_saved(session, subscriber))
    return ChangePage("Noted", lead, fields=fields, paper=paper)


def _count_saved(session: Session, subscriber: Subscriber, but: int = 0) -> int:
    rated = get_rated_papers(session, [subscriber.id]).get(subscriber.id)
    return len({*rated.kept} - {but}) if rated else 0


def describe_less(subscriber: Subscriber, saved_count: int) -> str:
    """Say what “less like this” changes (`editions.domain.recommendations`), and if it does so now."""
    effect = (
        "It hides nothing: papers like it come later under your topics, and less often under “You may "
        "also like”, where this paper never comes."
    )
    if not subscriber.has_suggestions:
        return f"{effect} But you switched learning off, so nothing changes until you switch it on."
    if saved_count < FEWEST_KEPT:
        start = f"The order begins to change with {FEWEST_SIGNALS} saved or marked papers"
        return f"{effect} {start}, suggestions begin with {FEWEST_KEPT} saved ones."
    return effect


def find_paper(session: Session, paper_id: int) -> PaperView:
    """Return a paper. Raises `PageNotFound`."""
    paper = get_papers(session, [paper_id]).get(paper_id)
    if paper is None:
        raise PageNotFound("We do not know this paper", "It may have been removed since the mail.")
    return paper
