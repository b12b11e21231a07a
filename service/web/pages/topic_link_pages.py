"""What the pages of a change say: before its button is pressed, after, and when it is taken back."""

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
    find_bringing_topic,
    offer_mutes,
    rate_paper,
    set_suggestions,
    take_back_feedback,
)
from service.subscribers.store.feedback import find_feedback
from service.subscribers.store.models import Subscriber
from service.topics.domain.language import Author, Text
from service.topics.domain.language.edits import read_clause
from service.topics.domain.types import TopicChangeKind
from service.topics.edit_by_link import (
    Difference,
    Draft,
    apply_draft,
    draft_follow,
    draft_mute,
    find_change_of,
    measure_draft,
    undo_change,
)
from service.topics.store.models import Topic, TopicChange
from service.topics.store.topics import list_topics
from service.web.core.errors import PageNotFound

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a link asks for. `verb`: mute, follow, less, keep or also, empty where it is none of them
    or several; `number` is that of its words, 0 where they are none.
    """

    verb: str
    words: str
    number: int
    topic_id: int


@dataclass(frozen=True, slots=True)
class Undo:
    """What to take back: the change with this number, what was said of a paper (and before that),
    or, with `also`, the end of suggestions.
    """

    change_id: int = 0
    paper_id: int = 0
    said: Feedback | None = None
    was: Feedback | None = None
    also: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """Clauses of a paper that the topic which brought it could exclude."""

    topic: Topic
    clauses: tuple[MuteOffer, ...]


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page about one change. `fields` go with its button, or with the undo; without any there is none.

    `before` and `after` are a topic's text; `paper` the one that it is about.
    """

    heading: str
    lead: str
    button: str = ""
    fields: Fields = ()
    before: str = ""
    after: str = ""
    difference: Difference | None = None
    paper: PaperView | None = None
    offers: Offers | None = None


def ask(
    session: Session, settings: Settings, subscriber: Subscriber, wish: Wish, now: datetime
) -> ChangePage:
    """The page that a link opens. Raises `TopicGone`, `ChangeRefused` and `PageNotFound`."""
    match wish.verb:
        case "mute" | "follow":
            return _ask_topic(session, settings, subscriber, wish, now)
        case "keep":
            return _ask_to_keep(session, subscriber, wish)
        case "less":
            return _ask_for_less(session, settings, subscriber, wish, announcement_date(now))
        case "also":
            return _ask_about_suggestions(subscriber, wish)
        case _:
            return _say_nothing()


def _say_nothing() -> NoReturn:
    raise PageNotFound(
        "This link does not say what to change",
        "It may have been cut off by a mail program. Open it from the mail once more.",
    )


def carry_out(session: Session, subscriber: Subscriber, wish: Wish, now: datetime) -> ChangePage:
    """Do it, and say what is now. Raises as `ask` does."""
    if wish.verb in {"mute", "follow"}:
        draft = _draft(session, subscriber, wish)
        return _tell_done(draft, apply_draft(session, subscriber.id, draft, now))
    if wish.verb == "also":
        return switch_suggestions(subscriber, wish.words)
    if not wish.verb:
        _say_nothing()
    paper = _find_paper(session, wish.number)
    kind = Feedback.KEPT if wish.verb == "keep" else Feedback.DISMISSED
    was = rate_paper(session, subscriber, paper.id, kind, now)
    return _tell_feedback(paper, kind, was)


def take_back(session: Session, subscriber: Subscriber, undo: Undo, now: datetime) -> ChangePage:
    """Undo, and say so. Raises `TopicGone` and `ChangeRefused`."""
    if undo.change_id:
        return _tell_undone(undo_change(session, subscriber.id, undo.change_id, now))
    if undo.also:
        return switch_suggestions(subscriber, undo.also)
    if undo.said is None or not take_back_feedback(
        session, subscriber, undo.paper_id, undo.said, undo.was, now
    ):
        return ChangePage("Nothing to undo", "You said something else of this paper since.")
    return ChangePage("Undone", _UNSAID[undo.was])


_UNSAID = {
    None: "It is as if you had not said anything of this paper.",
    Feedback.KEPT: "It is on your list again.",
    Feedback.DISMISSED: "You want less like it, as before.",
}


def _draft(session: Session, subscriber: Subscriber, wish: Wish) -> Draft:
    if wish.verb == "mute":
        return draft_mute(session, subscriber.id, wish.topic_id, wish.words)
    return draft_follow(session, subscriber.id, wish.words)


def _ask_topic(
    session: Session, settings: Settings, subscriber: Subscriber, wish: Wish, now: datetime
) -> ChangePage:
    draft = _draft(session, subscriber, wish)
    if draft.is_done:
        return _tell_done(draft, find_change_of(session, draft))
    difference = measure_draft(session, settings, draft, announcement_date(now))
    if draft.kind is TopicChangeKind.MUTED:
        return ChangePage(
            heading=f"Mute {say_clause(draft.asked)}?",
            lead="One of your topics will leave out the papers with it.",
            button="Mute it",
            fields=(("topic", str(wish.topic_id)), ("mute", wish.words)),
            before=draft.before,
            after=draft.after,
            difference=difference,
        )
    lead = "You get a new topic that brings the papers of this author."
    if not list_topics(session, subscriber.id):
        lead += " It is your first one: from then on it takes the place of the trending papers."
    return ChangePage(
        heading=f"Follow {say_clause(draft.asked)}?",
        lead=lead,
        button="Follow",
        fields=(("follow", wish.words),),
        after=draft.after,
        difference=difference,
    )


def say_clause(clause: str) -> str:
    """`survey` -> `“survey”`, `au:"Yoshua Bengio"` -> `Yoshua Bengio`; others as they are written."""
    leaf = read_clause(clause)
    if isinstance(leaf, Author):
        return leaf.name
    return f"“{leaf.text}”" if isinstance(leaf, Text) and leaf.field == "any" else clause


def _tell_done(draft: Draft, change: TopicChange | None) -> ChangePage:
    is_mute = draft.kind is TopicChangeKind.MUTED
    already = " already" if draft.is_done else ""
    name = say_clause(draft.asked)
    return ChangePage(
        heading=f"{name} is{already} muted" if is_mute else f"You follow {name}{already}",
        lead="Your next digest goes by the topic as it is now."
        if is_mute
        else "Your next digest brings what is new of this author.",
        fields=(("change", str(change.id)),) if change else (),
        before=draft.before if change and not draft.is_done else "",
        after=draft.after,
    )


def _tell_undone(change: TopicChange) -> ChangePage:
    if change.kind is TopicChangeKind.FOLLOWED:
        return ChangePage("Undone", "The topic that followed this author is gone.")
    return ChangePage("Undone", "The topic is as it was.", after=change.before_query)


def _ask_to_keep(session: Session, subscriber: Subscriber, wish: Wish) -> ChangePage:
    paper = _find_paper(session, wish.number)
    if find_feedback(session, subscriber.id, paper.id) is Feedback.KEPT:
        return _tell_feedback(paper, Feedback.KEPT, Feedback.KEPT)
    return ChangePage(
        heading="Save this paper?",
        lead="It goes on the list that your preferences lead to, and counts for what we suggest.",
        button="Save it",
        fields=(("keep", str(paper.id)),),
        paper=paper,
    )


def _ask_for_less(
    session: Session, settings: Settings, subscriber: Subscriber, wish: Wish, until: date
) -> ChangePage:
    paper = _find_paper(session, wish.number)
    topic = find_bringing_topic(session, settings, subscriber, paper.id)
    offers = tuple(offer_mutes(session, topic, paper, until)) if topic else ()
    return ChangePage(
        heading="Less like this?",
        lead="It will count against papers like it when we suggest some. Your topics stay as they "
        "are and may bring such papers again.",
        button="Less like this",
        fields=(("less", str(paper.id)),),
        paper=paper,
        offers=Offers(topic, offers) if topic and offers else None,
    )


def _tell_feedback(paper: PaperView, kind: Feedback, was: Feedback | None) -> ChangePage:
    # Said before, and now again: an undo takes the word back.
    before = "" if was in {None, kind} else str(was)
    fields = (("paper", str(paper.id)), ("said", kind.value), ("was", before))
    if kind is Feedback.KEPT:
        lead = "Your preferences lead to the list of what you saved."
        return ChangePage("Saved", lead, fields=fields, paper=paper)
    return ChangePage("Noted", "Papers like it are suggested less.", fields=fields, paper=paper)


def switch_suggestions(subscriber: Subscriber, words: str) -> ChangePage:
    """Carry out `on` or `off`."""
    is_wanted = _is_on(words)
    set_suggestions(subscriber, is_wanted=is_wanted)
    return _tell_suggestions(is_wanted=is_wanted)


def _is_on(words: str) -> bool:
    if words not in {"on", "off"}:
        _say_nothing()
    return words == "on"


def _ask_about_suggestions(subscriber: Subscriber, wish: Wish) -> ChangePage:
    is_wanted = _is_on(wish.words)
    if subscriber.has_suggestions is is_wanted:
        return _tell_suggestions(is_wanted=is_wanted)
    if is_wanted:
        lead = "Digests end with up to three papers near those that you saved."
        return ChangePage("Suggest papers?", lead, button="Yes, suggest", fields=(("also", "on"),))
    lead = "Digests will hold what your topics bring, and nothing beside it."
    return ChangePage("No more suggestions?", lead, button="No more", fields=(("also", "off"),))


def _tell_suggestions(*, is_wanted: bool) -> ChangePage:
    if is_wanted:
        return ChangePage("Suggestions are on", "Up to three papers a digest, near what you saved.")
    lead = "Digests hold what your topics bring."
    return ChangePage("No more suggestions", lead, fields=(("also", "on"),))


def _find_paper(session: Session, paper_id: int) -> PaperView:
    paper = get_papers(session, [paper_id]).get(paper_id)
    if paper is None:
        raise PageNotFound("We do not know this paper", "It may have been removed since the mail.")
    return paper
