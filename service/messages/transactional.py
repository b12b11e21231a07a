"""The mails beside the digest: when one is queued, and what it is made of.

Each has a row with a unique key before it is sent: who, which kind, and the occasion.
"""

from collections.abc import Callable
from typing import Any

from service.deliveries.alerts import Alert
from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.claimed_rows import DeliveryView, RecipientView
from service.messages.contexts.digest import DigestSection
from service.messages.contexts.transactional import (
    AddressChangeContext,
    AddressNoticeContext,
    AlreadySubscribedContext,
    ConfirmationContext,
    FarewellContext,
    MailContext,
    OperatorAlertContext,
    PausedContext,
    ResumedContext,
    TopicsChangedContext,
    WelcomeContext,
)
from service.messages.edition_data import EditionDataCache
from service.messages.identity import sender_fields
from service.messages.signed_links import signed_url
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import fingerprint
from service.platform.signing.tokens import LIFETIME, Purpose


def letter_context(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
) -> MailContext:
    """The typed context of a row that is no digest.

    Raises `KeyError` for kinds that go to the operator: alerts (`alert_context`) and tests.
    """
    return _CONTEXTS[delivery.kind](delivery, subscriber, editions, settings)


_Make = Callable[[DeliveryView, RecipientView, EditionDataCache, Settings], MailContext]


def _proof(
    delivery: DeliveryView,
    subscriber: RecipientView,
    settings: Settings,
    purpose: Purpose,
    detail: str = "",
) -> dict[str, Any]:
    """The fields of `ProofBase`."""
    at, mark = delivery.created_at, fingerprint(subscriber.email_key)
    return {
        "confirm_url": signed_url(settings, purpose, subscriber.id, at, detail),
        "never_url": signed_url(settings, Purpose.NEVER, subscriber.id, at, mark),
        "expires_days": _lifetime_days(purpose),
        "on": at.date(),
        **sender_fields(settings),
    }


def _lifetime_days(purpose: Purpose) -> int:
    lifetime = LIFETIME[purpose]
    return lifetime.days if lifetime else 0


def _recipient_fields(
    delivery: DeliveryView, subscriber: RecipientView, settings: Settings
) -> dict[str, Any]:
    """The fields of `ReaderBase`."""
    on = delivery.created_at.date()
    return {"on": on, "locale": subscriber.locale, **sender_fields(settings)}


def _subscriber_fields(
    delivery: DeliveryView, subscriber: RecipientView, settings: Settings
) -> dict[str, Any]:
    """The fields of `SubscriberBase`."""
    at = delivery.created_at
    return {
        "preferences": signed_url(settings, Purpose.PREFERENCES, subscriber.id, at),
        "unsubscribe": signed_url(settings, Purpose.UNSUBSCRIBE, subscriber.id, at),
        **_recipient_fields(delivery, subscriber, settings),
    }


def _confirmation(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> MailContext:
    return ConfirmationContext(**_proof(delivery, subscriber, settings, Purpose.CONFIRM))


def _address_change(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> MailContext:
    detail = move_detail(subscriber)
    return AddressChangeContext(**_proof(delivery, subscriber, settings, Purpose.ADDRESS, detail))


def _address_notice(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> MailContext:
    at, detail = delivery.created_at, move_detail(subscriber)
    return AddressNoticeContext(
        undo_url=signed_url(settings, Purpose.ADDRESS, subscriber.id, at, detail),
        expires_days=_lifetime_days(Purpose.ADDRESS),
        **_recipient_fields(delivery, subscriber, settings),
    )


def move_detail(waiting: RecipientView) -> str:
    """What the token of a move says beside the row that waits: whose digests, to which address."""
    return f"{waiting.moves_from_id or 0}.{fingerprint(waiting.email_key)}"


def _already_subscribed(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> MailContext:
    return AlreadySubscribedContext(**_subscriber_fields(delivery, subscriber, settings))


def _welcome(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
) -> MailContext:
    entries = editions.entries_of(0, settings)
    groups = digest_from_json(delivery.digest).groups
    shown = [(group.title, tuple(entries.take(group.entries, ""))) for group in groups]
    return WelcomeContext(
        topics=_topics(subscriber, editions),
        next_hour=subscriber.hour,
        timezone=subscriber.timezone,
        cadence=subscriber.cadence,
        has_empty_digests=subscriber.has_empty_digests,
        preview=tuple(
            DigestSection(title=title, papers=papers) for title, papers in shown if papers
        ),
        **_subscriber_fields(delivery, subscriber, settings),
    )


def _topics_changed(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
) -> MailContext:
    topics = _topics(subscriber, editions)
    return TopicsChangedContext(topics=topics, **_subscriber_fields(delivery, subscriber, settings))


def _paused(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> MailContext:
    return PausedContext(
        until=subscriber.paused_until,
        catches_up=subscriber.has_catch_up,
        **_subscriber_fields(delivery, subscriber, settings),
    )


def _resumed(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> MailContext:
    return ResumedContext(
        next_hour=subscriber.hour,
        timezone=subscriber.timezone,
        cadence=subscriber.cadence,
        has_empty_digests=subscriber.has_empty_digests,
        **_subscriber_fields(delivery, subscriber, settings),
    )


def _farewell(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> MailContext:
    unsubscribe = signed_url(settings, Purpose.UNSUBSCRIBE, subscriber.id, delivery.created_at)
    return FarewellContext(
        undo_url=f"{unsubscribe}/undo", **_recipient_fields(delivery, subscriber, settings)
    )


def alert_context(delivery: DeliveryView, settings: Settings) -> OperatorAlertContext:
    """What a row for the operator says; it has no reader."""
    return OperatorAlertContext(
        alerts=(Alert(**(delivery.alert or {})),),
        status_url=f"{settings.base_url}/status",
        at=delivery.created_at,
        **sender_fields(settings),
    )


def _topics(subscriber: RecipientView, editions: EditionDataCache) -> tuple[str, ...]:
    return tuple(text for text, _ in editions.topics.get(subscriber.id, []))


_CONTEXTS: dict[DeliveryKind, _Make] = {
    DeliveryKind.CONFIRMATION: _confirmation,
    DeliveryKind.ALREADY_SUBSCRIBED: _already_subscribed,
    DeliveryKind.WELCOME: _welcome,
    DeliveryKind.TOPICS_CHANGED: _topics_changed,
    DeliveryKind.PAUSED: _paused,
    DeliveryKind.RESUMED: _resumed,
    DeliveryKind.FAREWELL: _farewell,
    DeliveryKind.ADDRESS_CHANGE: _address_change,
    DeliveryKind.ADDRESS_NOTICE: _address_notice,
}
