"""What the operator does for one subscriber: edit, pause, resume, unsubscribe.

Pages and commands call these functions. Each records who did it, so that the subscriber's history
says so, and queues the mail that the subscriber's own click would queue. The caller holds the lock
of the subscriber's row.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from service.platform.settings.settings import Settings
from service.subscribers import lifecycle
from service.subscribers.domain.sign_up import Preferences, SignUpForm
from service.subscribers.queue_mails import queue_paused, queue_resumed
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import record_consent
from service.subscribers.stored_form import form_of
from service.subscribers.validate import WEEKDAYS, FormFault, SignUpError, validate_preferences
from service.topics.domain.measure import parse_measure

_LONGEST_NAME = 40


def operator_name(name: str, place: str) -> str:
    """Return `operator ada on /admin`, as a history names an operator; the name may be empty."""
    printable = "".join(char for char in name if char.isprintable()).strip()
    return " ".join(filter(None, ("operator", printable[:_LONGEST_NAME], place)))


def edit_subscriber(
    session: Session, subscriber: Subscriber, form: SignUpForm, by: str, now: datetime
) -> tuple[str, ...]:
    """Set a subscriber's preferences; return what changed, such as `hour 7 → 9`.

    Raises `SignUpError` with all faults.
    """
    before = form_of(session, subscriber)
    # The operator's forms do not ask for the summaries, and programs may leave the others out.
    form = replace(
        form,
        has_ai_summaries=before.has_ai_summaries,
        timing=form.timing or before.timing,
        full_cards=form.full_cards or before.full_cards,
        max_papers=before.max_papers if form.max_papers is None else form.max_papers,
        weekly_topics_on=form.weekly_topics_on or before.weekly_topics_on,
    )
    chosen = validate_preferences(session, form, subscriber.id, is_public=False)
    changes = tuple(_list_changes(before, chosen))
    if changes:
        lifecycle.update_preferences(session, subscriber, chosen, now)
        record_consent(session, subscriber.id, f"edited ({', '.join(changes)})", by, now)
    return changes


def _list_changes(before: SignUpForm, chosen: Preferences) -> Iterator[str]:
    pairs = {
        "cadence": (before.cadence, chosen.cadence),
        "hour": (before.hour, chosen.hour),
        "timing": (before.timing, chosen.timing),
        "time zone": (before.timezone, chosen.timezone),
        "papers shown in full": (before.full_cards, chosen.full_cards),
        "papers in a mail": (before.max_papers or "usual", chosen.max_papers or "usual"),
        "weekly topics": (before.weekly_topics_on, WEEKDAYS[chosen.weekly_topics_on]),
    }
    for name, (old, new) in pairs.items():
        if str(old) != str(new):
            yield f"{name} {old} → {new}"
    if before.has_empty_digests != chosen.has_empty_digests:
        yield f"mail when nothing matched {'on' if chosen.has_empty_digests else 'off'}"
    if before.topics != tuple(text for text, _ in chosen.topics):
        yield "topics"
        return
    if _changes_names(before, chosen):
        yield "names of topics"
    if _changes_measures(before, chosen):
        yield "when topics come"


def _changes_names(before: SignUpForm, chosen: Preferences) -> bool:
    pairs = zip(before.written_names(), chosen.topics, strict=False)
    return any(chosen.names.get(canonical, old) != old for (_, _, old), (_, canonical) in pairs)


def _changes_measures(before: SignUpForm, chosen: Preferences) -> bool:
    old = [parse_measure(text) for _, _, text in before.written_measures()]
    new = [
        chosen.measures.get(canonical, measure)
        for (_, canonical), measure in zip(chosen.topics, old, strict=False)
    ]
    return old != new


def pause_subscriber(
    session: Session, subscriber: Subscriber, until: date | None, by: str, now: datetime
) -> bool:
    """Pause a subscriber's digests until a date, or until resumed; false if none are sent anyway.

    Raises `SignUpError` for a date that is not in the future, in the subscriber's time zone.
    """
    today = now.astimezone(ZoneInfo(subscriber.timezone)).date()
    if until is not None and until <= today:
        raise SignUpError(FormFault("until", f"A pause ends after today; {until} does not."))
    if not lifecycle.pause(subscriber, until, now, catches_up=subscriber.has_catch_up):
        return False
    action = f"paused until {until}" if until else "paused"
    record_consent(session, subscriber.id, action, by, now)
    queue_paused(session, subscriber, now)
    return True


def resume_subscriber(session: Session, subscriber: Subscriber, by: str, now: datetime) -> bool:
    """Resume a paused subscriber's digests; return false if they were not paused."""
    if not lifecycle.resume(subscriber):
        return False
    record_consent(session, subscriber.id, "resumed", by, now)
    queue_resumed(session, subscriber, now)
    return True


def unsubscribe_subscriber(
    session: Session, settings: Settings, subscriber: Subscriber, by: str, now: datetime
) -> bool:
    """End a subscription for its subscriber; return false if there was none to end."""
    return lifecycle.leave(session, settings, subscriber.id, by, now)
