"""Template contexts of transactional mails, one function per kind.

Each mail is a delivery row before it is sent, unique by subscriber, kind and occasion.
"""

from collections.abc import Callable
from typing import Any

from service.deliveries.alerts import Alert
from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.claimed_rows import DeliveryView, RecipientView
from service.messages.contexts import transactional as contexts
from service.messages.contexts.digest import DigestSection
from service.messages.edition_data import EditionDataCache
from service.messages.identity import sender_fields
from service.messages.signed_links import signed_url
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import fingerprint
from service.platform.signing.tokens import LIFETIME, Purpose


def transactional_context(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
) -> contexts.MailContext:
    """Return the typed context of a transactional mail.

    Raises `KeyError` for mails to the operator: alerts (see `alert_context`) and test mails.
    """
    return _CONTEXTS[delivery.kind](delivery, subscriber, editions, settings)


_MakeContext = Callable[
    [DeliveryView, RecipientView, EditionDataCache, Settings], contexts.MailContext
]


def _proof(
    delivery: DeliveryView,
    subscriber: RecipientView,
    settings: Settings,
    purpose: Purpose,
    detail: str = "",
) -> dict[str, Any]:
    """The fields of `ProofBase`."""
    at, address_hash = delivery.created_at, fingerprint(subscriber.email_key)
    return {
        "confirm_url": signed_url(settings, purpose, subscriber.id, at, detail),
        "never_url": signed_url(settings, Purpose.NEVER, subscriber.id, at, address_hash),
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
    """The fields of `RecipientBase`."""
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
) -> contexts.MailContext:
    return contexts.ConfirmationContext(**_proof(delivery, subscriber, settings, Purpose.CONFIRM))


def _address_change(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> contexts.MailContext:
    detail = address_change_detail(subscriber)
    return contexts.AddressChangeContext(
        **_proof(delivery, subscriber, settings, Purpose.ADDRESS, detail)
    )


def _address_notice(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> contexts.MailContext:
    at, detail = delivery.created_at, address_change_detail(subscriber)
    return contexts.AddressNoticeContext(
        undo_url=signed_url(settings, Purpose.ADDRESS, subscriber.id, at, detail),
        expires_days=_lifetime_days(Purpose.ADDRESS),
        **_recipient_fields(delivery, subscriber, settings),
    )


def address_change_detail(waiting: RecipientView) -> str:
    """Return the token detail of an address change: old subscriber id, hash of the new address."""
    return f"{waiting.moves_from_id or 0}.{fingerprint(waiting.email_key)}"


def _already_subscribed(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> contexts.MailContext:
    return contexts.AlreadySubscribedContext(**_subscriber_fields(delivery, subscriber, settings))


def _welcome(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
) -> contexts.MailContext:
    entries = editions.entries_of(0, settings)
    groups = digest_from_json(delivery.digest).groups
    sections = [(group.title, tuple(entries.take(group.entries, ""))) for group in groups]
    return contexts.WelcomeContext(
        topics=_topics(subscriber, editions),
        next_hour=subscriber.hour,
        timezone=subscriber.timezone,
        cadence=subscriber.cadence,
        has_empty_digests=subscriber.has_empty_digests,
        preview=tuple(
            DigestSection(title=title, papers=papers) for title, papers in sections if papers
        ),
        **_subscriber_fields(delivery, subscriber, settings),
    )


def _topics_changed(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
) -> contexts.MailContext:
    topics = _topics(subscriber, editions)
    return contexts.TopicsChangedContext(
        topics=topics, **_subscriber_fields(delivery, subscriber, settings)
    )


def _paused(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> contexts.MailContext:
    return contexts.PausedContext(
        until=subscriber.paused_until,
        catches_up=subscriber.has_catch_up,
        **_subscriber_fields(delivery, subscriber, settings),
    )


def _resumed(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> contexts.MailContext:
    return contexts.ResumedContext(
        next_hour=subscriber.hour,
        timezone=subscriber.timezone,
        cadence=subscriber.cadence,
        has_empty_digests=subscriber.has_empty_digests,
        **_subscriber_fields(delivery, subscriber, settings),
    )


def _farewell(
    delivery: DeliveryView, subscriber: RecipientView, _: EditionDataCache, settings: Settings
) -> contexts.MailContext:
    unsubscribe = signed_url(settings, Purpose.UNSUBSCRIBE, subscriber.id, delivery.created_at)
    return contexts.FarewellContext(
        undo_url=f"{unsubscribe}/undo", **_recipient_fields(delivery, subscriber, settings)
    )


def alert_context(delivery: DeliveryView, settings: Settings) -> contexts.OperatorAlertContext:
    """Return the context of an alert to the operator; its row has no subscriber."""
    return contexts.OperatorAlertContext(
        alerts=(Alert(**(delivery.alert or {})),),
        status_url=f"{settings.base_url}/status",
        at=delivery.created_at,
        **sender_fields(settings),
    )


def _topics(subscriber: RecipientView, editions: EditionDataCache) -> tuple[str, ...]:
    return tuple(text for text, _ in editions.topics.get(subscriber.id, []))


_CONTEXTS: dict[DeliveryKind, _MakeContext] = {
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
