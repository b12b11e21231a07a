"""The contents of the pages for a change by link: the question, the result, and the undo."""

from dataclasses import replace
from datetime import date, datetime
from typing import NoReturn

from sqlalchemy.orm import Session

from service.papers.domain.announcement_days import announcement_date
from service.papers.store.read import get_papers
from service.platform.settings.settings import Settings
from service.subscribers.domain.types import Feedback
from service.subscribers.feedback import take_back_feedback
from service.subscribers.store.models import Subscriber
from service.topics import edit_by_link
from service.topics.domain.language.canonical import write_leaf
from service.topics.domain.language.edits import parse_clause
from service.topics.domain.types import TopicChangeKind
from service.topics.mute_offers import leaves_few
from service.topics.store.models import TopicChange
from service.topics.store.topics import list_topics
from service.web.core.errors import PageNotFound
from service.web.pages.change_page import ChangePage, LinkRequest, Undo, clause_label, offer_mutes
from service.web.pages.feedback_pages import ask_for_feedback, rate
from service.web.pages.more_page import list_ways
from service.web.pages.vote_pages import ask_for_vote, take_vote, take_vote_back


def ask(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, now: datetime
) -> ChangePage:
    """Return the page that a link opens. Raises `TopicGone`, `ChangeRefused` and `PageNotFound`."""
    until = announcement_date(now)
    match link.verb:
        case "mute" | "follow":
            ask_about_topic = _ask_to_mute if link.verb == "mute" else _ask_to_follow
            return ask_about_topic(session, settings, subscriber, link, until)
        case "more":
            return list_ways(session, settings, subscriber, link, until)
        case "keep" | "less":
            return ask_for_feedback(session, settings, subscriber, link, until)
        case "vote":
            return ask_for_vote(session, settings, subscriber, link, now)
        case "also":
            return _ask_about_suggestions(subscriber, link)
        case _:
            return _refuse_link()


def _refuse_link() -> NoReturn:
    raise PageNotFound(
        "This link does not say what to change",
        "A mail program may have cut it off. Open it from the mail again.",
    )


def apply(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, now: datetime
) -> ChangePage:
    """Carry out the request and return its result page. Raises as `ask` does."""
    match link.verb:
        case "mute":
            return _mute(session, settings, subscriber, link, now)
        case "follow":
            draft = edit_by_link.draft_follow(session, subscriber.id, link.text)
            return _done_page(draft, edit_by_link.apply_draft(session, subscriber.id, draft, now))
        case "keep" | "less":
            return rate(session, settings, subscriber, link, now)
        case "vote":
            return take_vote(session, settings, subscriber, link, now)
        case "also":
            return switch_suggestions(subscriber, link.text)
        case _:
            return _refuse_link()


def take_back(session: Session, subscriber: Subscriber, undo: Undo, now: datetime) -> ChangePage:
    """Undo a change and return its result page. Raises `TopicGone` and `ChangeRefused`."""
    if undo.change_id:
        return _undone_page(edit_by_link.undo_change(session, subscriber.id, undo.change_id, now))
    if undo.voted_id:
        return take_vote_back(session, subscriber, undo.voted_id, now)
    if undo.also:
        return switch_suggestions(subscriber, undo.also)
    if undo.feedback is None or not take_back_feedback(
        session,
        subscriber,
        undo.paper_id,
        undo.feedback,
        undo.previous,
        min(undo.since or now, now),
    ):
        return ChangePage("Nothing to undo", "You changed your feedback on this paper since.")
    return ChangePage("Undone", _UNDONE_TEXTS[undo.previous])


_UNDONE_TEXTS = {
    None: "Your feedback on this paper is removed.",
    Feedback.KEPT: "It is among your saved papers again.",
    Feedback.DISMISSED: "It counts as “less like this” again.",
}


def _ask_to_mute(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, until: date
) -> ChangePage:
    paper = get_papers(session, [link.paper_id]).get(link.paper_id)
    try:
        draft = edit_by_link.draft_mute(session, subscriber.id, link.topic_id, link.text)
        if draft.is_done:
            return _done_page(draft, edit_by_link.find_change_of(session, draft))
        difference = edit_by_link.measure_mute(session, settings, draft, until)
    except edit_by_link.MuteLeavesNothing as error:
        label = clause_label(write_leaf(error.clause))
        offers = offer_mutes(session, settings, error.topic, paper, until, error.clause)
        heading = f"{label} cannot be muted in “{error.topic.name}”"
        return ChangePage(heading, str(error), paper=paper, offers=offers, is_refused=True)
    name = draft.topic.name if draft.topic else ""
    page = ChangePage(
        heading=f"Mute {clause_label(draft.clause)}?",
        lead=f"Your topic “{name}” will leave out papers that match it.",
        button="Mute",
        fields=(("topic", str(link.topic_id)), ("mute", link.text), ("paper", str(link.paper_id))),
        paper=paper,
        before=draft.before,
        after=draft.after,
        difference=difference,
    )
    if draft.topic is None or not leaves_few(difference.before, difference.after):
        return page
    left = f"Only {difference.after:,} of the {difference.before:,} papers of the last 30 days"
    return replace(
        page,
        lead=f"{left} would be left in your topic “{name}”.",
        button="Mute all the same",
        offers=offer_mutes(
            session, settings, draft.topic, paper, until, parse_clause(draft.clause)
        ),
    )


def _mute(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, now: datetime
) -> ChangePage:
    until = announcement_date(now)
    try:
        draft = edit_by_link.draft_mute(session, subscriber.id, link.topic_id, link.text)
        if not draft.is_done:
            edit_by_link.measure_mute(session, settings, draft, until)
    except edit_by_link.MuteLeavesNothing:
        return _ask_to_mute(session, settings, subscriber, link, until)
    return _done_page(draft, edit_by_link.apply_draft(session, subscriber.id, draft, now))


def _ask_to_follow(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, until: date
) -> ChangePage:
    draft = edit_by_link.draft_follow(session, subscriber.id, link.text)
    if draft.is_done:
        return _done_page(draft, edit_by_link.find_change_of(session, draft))
    lead = "You get a new topic with the papers of this author."
    if not list_topics(session, subscriber.id):
        lead += " It is your first topic, and takes the place of the day’s best papers."
    return ChangePage(
        heading=f"Follow {clause_label(draft.clause)}?",
        lead=lead,
        button="Follow",
        fields=(("follow", link.text),),
        after=draft.after,
        difference=edit_by_link.measure_draft(session, settings, draft, until),
    )


def _done_page(draft: edit_by_link.TopicChangeDraft, change: TopicChange | None) -> ChangePage:
    is_mute = draft.kind is TopicChangeKind.MUTED
    already = " already" if draft.is_done else ""
    name = clause_label(draft.clause)
    return ChangePage(
        heading=f"{name} is{already} muted" if is_mute else f"You{already} follow {name}",
        lead="Your next digest uses the changed topic."
        if is_mute
        else "Your next digest includes new papers by this author.",
        fields=(("change", str(change.id)),) if change else (),
        before=draft.before if change and not draft.is_done else "",
        after=draft.after,
    )


def _undone_page(change: TopicChange) -> ChangePage:
    if change.kind is TopicChangeKind.FOLLOWED:
        return ChangePage("Undone", "The topic for this author is removed.")
    return ChangePage("Undone", "The topic is as it was.", after=change.before_query)


def switch_suggestions(subscriber: Subscriber, setting: str) -> ChangePage:
    """Switch suggestions `on` or `off` and return the result page."""
    is_wanted = _is_on(setting)
    subscriber.has_suggestions = is_wanted
    return _suggestions_page(is_wanted=is_wanted)


def _is_on(setting: str) -> bool:
    if setting not in {"on", "off"}:
        _refuse_link()
    return setting == "on"


def _ask_about_suggestions(subscriber: Subscriber, link: LinkRequest) -> ChangePage:
    is_wanted = _is_on(link.text)
    if subscriber.has_suggestions is is_wanted:
        return _suggestions_page(is_wanted=is_wanted)
    if is_wanted:
        lead = "Papers like those you saved will come first under your topics, and up to three more at the end."
        return ChangePage(
            "Learn from what you save?", lead, button="Learn", fields=(("also", "on"),)
        )
    lead = (
        "Digests will contain only papers that match your topics, in the same order for everybody."
    )
    return ChangePage(
        "Stop learning from what you save?", lead, button="Stop", fields=(("also", "off"),)
    )


def _suggestions_page(*, is_wanted: bool) -> ChangePage:
    if is_wanted:
        return ChangePage(
            "Digests learn from what you save",
            "Papers like those come first under your topics, and up to three more at the end.",
        )
    lead = "Digests contain only papers that match your topics, in the same order for everybody."
    return ChangePage("Digests do not learn", lead, fields=(("also", "on"),))
