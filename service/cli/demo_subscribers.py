"""The demo's subscribers: they sign up and confirm over HTTP and by mail, as any person would."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import httpx2
from sqlalchemy.orm import Session, sessionmaker

from service.cli.context import CommandError
from service.cli.processes import Stack
from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.platform.database.engine import transaction
from service.platform.dev_mailbox import list_messages, load_message
from service.platform.settings.settings import Settings
from service.subscribers.store.subscribers import find_by_email

MAIL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SampleSubscriber:
    """An invented subscriber."""

    email: str
    cadence: Cadence
    topics: tuple[str, ...]


DAILY = SampleSubscriber(
    "reader@example.org",
    Cadence.DAILY,
    (
        '"prompt tuning" OR "continual learning"',
        "diffusion cat:cs.CV",
        "reasoning cat:cs.CL -survey",
        "forecasting OR causal",
    ),
)
WEEKLY = SampleSubscriber(
    "weekly@example.org", Cadence.WEEKLY, ("robot OR drone", "cat:stat.ML causal", "diffusion")
)
# Their mailbox is given up while the days pass, so that their mail bounces.
MOVED = SampleSubscriber("moved@example.org", Cadence.DAILY, ("cat:cs.LG", "cat:cs.CV"))


@dataclass(frozen=True, slots=True)
class SignUps:
    """What signing up needs: the database, to see the result, the site, and the mailbox."""

    sessions: sessionmaker[Session]
    settings: Settings
    services: Stack

    def sign_up(self, one: SampleSubscriber) -> SubscriberState:
        """Sign up and confirm, unless the person looking paused or left them; return their state.

        Somebody who unsubscribed signs up again, as a person may.
        """
        state = self.find_state(one)
        if state in {SubscriberState.ACTIVE, SubscriberState.PAUSED, SubscriberState.SUPPRESSED}:
            return state
        form = {"email": one.email, "topic": list(one.topics), "timezone": "UTC", "hour": "7"}
        url = f"{self.settings.base_url}/subscribe"
        response = httpx2.post(url, data=form | {"cadence": str(one.cadence)})
        if not response.is_success:
            raise CommandError(f"the sign-up failed with HTTP status {response.status_code}")
        self._confirm(one)
        return SubscriberState.ACTIVE

    def find_state(self, one: SampleSubscriber) -> SubscriberState | None:
        with transaction(self.sessions) as session:
            subscriber = find_by_email(session, one.email)
            return subscriber.state if subscriber else None

    def _confirm(self, one: SampleSubscriber) -> None:
        """Follow the links in the subscriber's mails as they arrive, until one has confirmed.

        The mailbox may hold mails of earlier runs with expired links or another port, so only the
        token of each link is used.
        """
        maildir = self.settings.data_dir / "mailbox"
        tried: set[str] = set()
        for _ in self._turns(f"confirmed {one.email}"):
            for token in _confirmation_tokens(maildir, one) - tried:
                tried.add(token)
                mail_count = count_mails(maildir, one)
                httpx2.post(f"{self.settings.base_url}/confirm/{token}")
                if self.find_state(one) is SubscriberState.ACTIVE:
                    self._await_welcome(maildir, one, mail_count)
                    return

    def _await_welcome(self, maildir: Path, one: SampleSubscriber, mail_count: int) -> None:
        """Wait for one mail more: the demo's clock may go back, and then it would not be due."""
        for _ in self._turns(f"welcomed {one.email}"):
            if count_mails(maildir, one) > mail_count:
                return

    def _turns(self, what: str) -> Iterator[None]:
        """Yield ten times a second while the services run. Raises `CommandError` after a minute."""
        deadline = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < deadline:
            self.services.check()
            yield
            time.sleep(0.1)
        raise CommandError(f"no mail {what} within {MAIL_SECONDS:.0f} s")


def count_mails(maildir: Path, one: SampleSubscriber) -> int:
    return sum(one.email in stored.to for stored in list_messages(maildir))


def _confirmation_tokens(maildir: Path, one: SampleSubscriber) -> set[str]:
    texts = "\n".join(_message_texts(maildir, one))
    return set(re.findall(r"https?://[^/\s]+/confirm/([\w.~-]+)", texts))


def _message_texts(maildir: Path, one: SampleSubscriber) -> list[str]:
    """Return the text parts of the subscriber's mails, newest first."""
    texts = []
    for stored in list_messages(maildir, limit=20):
        if one.email in stored.to:
            message = message_from_bytes(load_message(maildir, stored.key), policy=default)
            body = message.get_body(("plain",))
            texts.append(body.get_content() if body else "")
    return texts
