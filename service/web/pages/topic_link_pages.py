"""The contents of the pages for a change by link: the question, the result, and the undo."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NoReturn

from sqlalchemy.orm import Session

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers
from service.platform.settings.settings import Settings
from service.subscribers.domain.types import Feedback
from service.subscribers.feedback import (
    MuteOffer,
    find_matching_topic,
    list_mute_offers,
    rate_paper,
    take_back_feedback,
)
from service.subscribers.store.feedback import find_feedback
from service.subscribers.store.models import Subscriber
from service.topics import edit_by_link
from service.topics.domain.language import Author, Text
from service.topics.domain.language.edits import parse_clause
from service.topics.domain.types import TopicChangeKind
from service.topics.store.models import Topic, TopicChange
from service.topics.store.topics import list_topics
from service.web.core.errors import PageNotFound

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """The request of a link. `verb`: mute, follow, less, keep or also, empty where it is none of
    them or several; `number` is the id in `text`, 0 where there is none.
    """

    verb: str
    text: str
    number: int
    topic_id: int


@dataclass(frozen=True, slots=True)
class Undo:
    """What to undo: a topic change, the feedback on a paper (with the `previous` one to restore),
    or, with `also`, the end of suggestions.
    """

    change_id: int = 0
    paper_id: int = 0
    feedback: Feedback | None = None
    previous: Feedback | None = None
    also: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """Clauses that the topic which matched a paper could exclude."""

    topic: Topic
    clauses: tuple[MuteOffer, ...]


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page about one change. `fields` are the hidden inputs of its button, or of the undo.

    `before` and `after` are the texts of a topic; `paper` is the paper of the link.
    """

    heading: str
    lead: str
    button: str = ""
    fields: Fields = ()
    before: str = ""
    after: str = ""
    difference: edit_by_link.Difference | None = None
    paper: PaperView | None = None
    offers: Offers | None = None


def ask(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, now: datetime
) -> ChangePage:
    """Return the page that a link opens. Raises `TopicGone`, `ChangeRefused` and `PageNotFound`."""
    match link.verb:
        case "mute" | "follow":
            return _ask_topic(session, settings, subscriber, link, now)
        case "keep":
            return _ask_to_keep(session, subscriber, link)
        case "less":
            return _ask_for_less(session, settings, subscriber, link, announcement_date(now))
        case "also":
            return _ask_about_suggestions(subscriber, link)
        case _:
            return _refuse_link()


def _refuse_link() -> NoReturn:
    raise PageNotFound(
        "This link does not say what to change",
        "A mail program may have cut it off. Open it from the mail again.",
    )


def apply(session: Session, subscriber: Subscriber, link: LinkRequest, now: datetime) -> ChangePage:
    """Carry out the request and return its result page. Raises as `ask` does."""
    if link.verb in {"mute", "follow"}:
        draft = _draft(session, subscriber, link)
        return _done_page(draft, edit_by_link.apply_draft(session, subscriber.id, draft, now))
    if link.verb == "also":
        return switch_suggestions(subscriber, link.text)
    if not link.verb:
        _refuse_link()
    paper = _find_paper(session, link.number)
    kind = Feedback.KEPT if link.verb == "keep" else Feedback.DISMISSED
    previous = rate_paper(session, subscriber, paper.id, kind, now)
    return _feedback_page(paper, kind, previous)


def take_back(session: Session, subscriber: Subscriber, undo: Undo, now: datetime) -> ChangePage:
    """Undo a change and return its result page. Raises `TopicGone` and `ChangeRefused`."""
    if undo.change_id:
        return _undone_page(edit_by_link.undo_change(session, subscriber.id, undo.change_id, now))
    if undo.also:
        return switch_suggestions(subscriber, undo.also)
    if undo.feedback is None or not take_back_feedback(
        session, subscriber, undo.paper_id, undo.feedback, undo.previous, now
    ):
        return ChangePage("Nothing to undo", "You changed your feedback on this paper since.")
    return ChangePage("Undone", _UNDONE_TEXTS[undo.previous])


_UNDONE_TEXTS = {
    None: "Your feedback on this paper is removed.",
    Feedback.KEPT: "It is among your saved papers again.",
    Feedback.DISMISSED: "We suggest fewer papers like it, as before.",
}


def _draft(
    session: Session, subscriber: Subscriber, link: LinkRequest
) -> edit_by_link.TopicChangeDraft:
    if link.verb == "mute":
        return edit_by_link.draft_mute(session, subscriber.id, link.topic_id, link.text)
    return edit_by_link.draft_follow(session, subscriber.id, link.text)


def _ask_topic(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, now: datetime
) -> ChangePage:
    draft = _draft(session, subscriber, link)
    if draft.is_done:
        return _done_page(draft, edit_by_link.find_change_of(session, draft))
    difference = edit_by_link.measure_draft(session, settings, draft, announcement_date(now))
    if draft.kind is TopicChangeKind.MUTED:
        return ChangePage(
            heading=f"Mute {clause_label(draft.clause)}?",
            lead=f"Your topic “{draft.topic.name if draft.topic else ''}” will leave out papers that match it.",
            button="Mute",
            fields=(("topic", str(link.topic_id)), ("mute", link.text)),
            before=draft.before,
            after=draft.after,
            difference=difference,
        )
    lead = "You get a new topic with the papers of this author."
    if not list_topics(session, subscriber.id):
        lead += " It is your first topic, and takes the place of the day’s best papers."
    return ChangePage(
        heading=f"Follow {clause_label(draft.clause)}?",
        lead=lead,
        button="Follow",
        fields=(("follow", link.text),),
        after=draft.after,
        difference=difference,
    )


def clause_label(clause: str) -> str:
    """Return a clause for people: `survey` -> `“survey”`, `au:"Ada Lovelace"` -> `Ada Lovelace`."""
    leaf = parse_clause(clause)
    if isinstance(leaf, Author):
        return leaf.name
    return f"“{leaf.text}”" if isinstance(leaf, Text) and leaf.field == "any" else clause


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


def _ask_to_keep(session: Session, subscriber: Subscriber, link: LinkRequest) -> ChangePage:
    paper = _find_paper(session, link.number)
    if find_feedback(session, subscriber.id, paper.id) is Feedback.KEPT:
        return _feedback_page(paper, Feedback.KEPT, Feedback.KEPT)
    return ChangePage(
        heading="Save this paper?",
        lead="It is added to the saved papers in your preferences, and improves our suggestions.",
        button="Save",
        fields=(("keep", str(paper.id)),),
        paper=paper,
    )


def _ask_for_less(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, until: date
) -> ChangePage:
    paper = _find_paper(session, link.number)
    topic = find_matching_topic(session, settings, subscriber, paper.id)
    offers = tuple(list_mute_offers(session, topic, paper, until)) if topic else ()
    return ChangePage(
        heading="Less like this?",
        lead="We will suggest fewer papers like it. Your topics stay as they are and may still match "
        "such papers.",
        button="Less like this",
        fields=(("less", str(paper.id)),),
        paper=paper,
        offers=Offers(topic, offers) if topic and offers else None,
    )


def _feedback_page(paper: PaperView, kind: Feedback, previous: Feedback | None) -> ChangePage:
    # Where the same feedback was given before, undo removes it.
    before = "" if previous in {None, kind} else str(previous)
    fields = (("paper", str(paper.id)), ("rating", kind.value), ("was", before))
    if kind is Feedback.KEPT:
        lead = "Your preferences list all your saved papers."
        return ChangePage("Saved", lead, fields=fields, paper=paper)
    return ChangePage("Noted", "We will suggest fewer papers like it.", fields=fields, paper=paper)


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
        lead = "Digests will end with up to three papers like those you saved."
        return ChangePage("Suggest papers?", lead, button="Suggest", fields=(("also", "on"),))
    lead = "Digests will contain only papers that match your topics."
    return ChangePage("Stop suggestions?", lead, button="Stop", fields=(("also", "off"),))


def _suggestions_page(*, is_wanted: bool) -> ChangePage:
    if is_wanted:
        return ChangePage(
            "Suggestions are on", "Up to three papers a digest, like those you saved."
        )
    lead = "Digests contain only papers that match your topics."
    return ChangePage("Suggestions are off", lead, fields=(("also", "on"),))


def _find_paper(session: Session, paper_id: int) -> PaperView:
    paper = get_papers(session, [paper_id]).get(paper_id)
    if paper is None:
        raise PageNotFound("We do not know this paper", "It may have been removed since the mail.")
    return paper
