"""Template contexts of transactional mails, one function per kind.

Each mail is a delivery row before it is sent, unique by subscriber, kind and occasion.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.deliveries.alerts import Alert
from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import SIGN_UP_FIELD, DeliveryKind
from service.deliveries.store.claimed_rows import DeliveryView, RecipientView
from service.editions.domain.arrivals import find_first_digest
from service.messages.contexts import transactional as contexts
from service.messages.contexts.digest import DigestSection, name_codes
from service.messages.edition_data import EditionDataCache
from service.messages.identity import sender_fields
from service.messages.signed_links import signed_url, vote_url
from service.papers.domain.types import PaperView
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import fingerprint
from service.platform.signing.tokens import TERMS, Purpose
from service.presentation.arrivals import lateness_text
from service.topics.domain.types import NamedTopic


def transactional_context(
    delivery: DeliveryView,
    subscriber: RecipientView,
    editions: EditionDataCache,
    settings: Settings,
) -> contexts.MailContext:
    """Return the typed context of a transactional mail.

    Raises `KeyError` for mails to the operator: see `operator_context`, and test mails.
    """
    return _CONTEXTS[delivery.kind](_Mail(delivery, subscriber, editions, settings))


@dataclass(frozen=True, slots=True)
class _Mail:
    """A row with all that its context is made of."""

    delivery: DeliveryView
    subscriber: RecipientView
    editions: EditionDataCache
    settings: Settings

    def link(self, purpose: Purpose, detail: str = "") -> str:
        at = self.delivery.created_at
        return signed_url(self.settings, purpose, self.subscriber, at, detail)

    def proof(self, purpose: Purpose, detail: str = "") -> dict[str, Any]:
        """The fields of `ProofBase`."""
        return {
            "confirm_url": self.link(purpose, detail),
            "never_url": self.link(Purpose.NEVER, fingerprint(self.subscriber.email_key)),
            "expires_days": _lifetime_days(purpose),
            "on": self.delivery.created_at.date(),
            **sender_fields(self.settings),
        }

    def recipient(self) -> dict[str, Any]:
        """The fields of `RecipientBase`."""
        on = self.delivery.created_at.date()
        return {"on": on, "locale": self.subscriber.locale, **sender_fields(self.settings)}

    def subscription(self) -> dict[str, Any]:
        """The fields of `SubscriberBase`."""
        return {
            "preferences": self.link(Purpose.PREFERENCES),
            "unsubscribe": self.link(Purpose.UNSUBSCRIBE),
            **self.recipient(),
        }

    def schedule(self) -> dict[str, Any]:
        """When the next digest comes, and the fields of `SubscriberBase`."""
        return {
            "next_hour": self.subscriber.hour,
            "timezone": self.subscriber.timezone,
            "cadence": self.subscriber.cadence,
            "timing": self.subscriber.timing,
            "has_empty_digests": self.subscriber.has_empty_digests,
            **self.subscription(),
        }

    def topics(self) -> tuple[NamedTopic, ...]:
        return tuple(self.editions.topics.get(self.subscriber.id, ()))


def _lifetime_days(purpose: Purpose) -> int:
    lifetime = TERMS[purpose].lifetime
    return lifetime.days if lifetime else 0


def _confirmation(mail: _Mail) -> contexts.MailContext:
    sign_up = str((mail.delivery.digest or {}).get(SIGN_UP_FIELD, ""))
    return contexts.ConfirmationContext(**mail.proof(Purpose.CONFIRM, sign_up))


def _address_change(mail: _Mail) -> contexts.MailContext:
    detail = address_change_detail(mail.subscriber)
    return contexts.AddressChangeContext(**mail.proof(Purpose.ADDRESS, detail))


def _address_notice(mail: _Mail) -> contexts.MailContext:
    return contexts.AddressNoticeContext(
        undo_url=mail.link(Purpose.ADDRESS, address_change_detail(mail.subscriber)),
        expires_days=_lifetime_days(Purpose.ADDRESS),
        **mail.recipient(),
    )


def address_change_detail(waiting: RecipientView) -> str:
    """Return the token detail of an address change: old subscriber id, hash of the new address."""
    return f"{waiting.moves_from_id or 0}.{fingerprint(waiting.email_key)}"


def _personal_link(mail: _Mail) -> contexts.MailContext:
    is_paused = mail.subscriber.state is SubscriberState.PAUSED
    until = mail.subscriber.paused_until if is_paused else None
    paper = _find_voted(mail) if mail.settings.votes else None
    return contexts.PersonalLinkContext(
        is_paused=is_paused,
        until=until,
        vote_url=vote_url(mail.link(Purpose.CHANGE), paper.id) if paper else "",
        voted_title=paper.title if paper else "",
        **mail.schedule(),
    )


def _find_voted(mail: _Mail) -> PaperView | None:
    """Return the paper that the subscriber asked to vote for; None where there is none any more."""
    groups = digest_from_json(mail.delivery.digest).groups if mail.delivery.digest else ()
    ids = [entry.paper_id for group in groups for entry in group.entries]
    return next(filter(None, map(mail.editions.papers.get, ids)), None)


def _welcome(mail: _Mail) -> contexts.MailContext:
    entries = mail.editions.entries_of(0, mail.settings, mail.subscriber)
    groups = digest_from_json(mail.delivery.digest).groups
    sections = [(group.title, tuple(entries.take(group.entries, group.title))) for group in groups]
    confirmed_at = mail.delivery.created_at
    return contexts.WelcomeContext(
        topics=mail.topics(),
        first=find_first_digest(mail.subscriber, confirmed_at),
        lateness=lateness_text(mail.subscriber, confirmed_at),
        preview=name_codes(
            [DigestSection(title=title, papers=papers) for title, papers in sections if papers]
        ),
        **mail.schedule(),
    )


def _topics_changed(mail: _Mail) -> contexts.MailContext:
    return contexts.TopicsChangedContext(topics=mail.topics(), **mail.subscription())


def _paused(mail: _Mail) -> contexts.MailContext:
    until, catches_up = mail.subscriber.paused_until, mail.subscriber.has_catch_up
    return contexts.PausedContext(until=until, catches_up=catches_up, **mail.subscription())


def _resumed(mail: _Mail) -> contexts.MailContext:
    return contexts.ResumedContext(**mail.schedule())


def _farewell(mail: _Mail) -> contexts.MailContext:
    undo_url = f"{mail.link(Purpose.UNSUBSCRIBE)}/undo"
    preferences = mail.link(Purpose.PREFERENCES)
    return contexts.FarewellContext(undo_url=undo_url, preferences=preferences, **mail.recipient())


def operator_context(delivery: DeliveryView, settings: Settings) -> contexts.MailContext:
    """Return the context of an alert or a report to the operator; its row has no subscriber."""
    if delivery.kind is DeliveryKind.DAILY_REPORT:
        return _daily_report(delivery.alert or {}, settings)
    return contexts.OperatorAlertContext(
        alerts=(Alert(**(delivery.alert or {})),),
        status_url=f"{settings.base_url}/status",
        at=delivery.created_at,
        **sender_fields(settings),
    )


_FIGURES = (
    ("Sent", "sent_count"),
    ("Failed", "failed_count"),
    ("In doubt now", "in_doubt_count"),
    ("Readers who joined", "joined_count"),
    ("Readers who left", "left_count"),
    ("Bounced", "bounced_count"),
    ("Complaints", "complaint_count"),
)
_VOTES = (("Votes", "vote_count"), ("Papers whose votes look like one person’s", "outlier_count"))
_SUBMISSIONS = (("Papers submitted", "submission_count"),)


def _daily_report(report: dict[str, Any], settings: Settings) -> contexts.DailyReportContext:
    pages = [("Status", "status"), *([("Admin", "admin")] if settings.admin_password else [])]
    figures = (
        *_FIGURES,
        *(_VOTES if settings.votes else ()),
        *(_SUBMISSIONS if settings.submissions else ()),
    )
    return contexts.DailyReportContext(
        figures=tuple((label, report[name]) for label, name in figures),
        pages=tuple((title, f"{settings.base_url}/{path}") for title, path in pages),
        at=datetime.fromisoformat(report["until"]),
        **sender_fields(settings),
    )


_CONTEXTS: dict[DeliveryKind, Callable[[_Mail], contexts.MailContext]] = {
    DeliveryKind.CONFIRMATION: _confirmation,
    DeliveryKind.PERSONAL_LINK: _personal_link,
    DeliveryKind.WELCOME: _welcome,
    DeliveryKind.TOPICS_CHANGED: _topics_changed,
    DeliveryKind.PAUSED: _paused,
    DeliveryKind.RESUMED: _resumed,
    DeliveryKind.FAREWELL: _farewell,
    DeliveryKind.ADDRESS_CHANGE: _address_change,
    DeliveryKind.ADDRESS_NOTICE: _address_notice,
}
