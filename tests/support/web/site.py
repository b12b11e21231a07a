"""For tests of the web site: a clock, recorded wake-up tasks, subscribers and their links."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Engine, func, inspect, select
from sqlalchemy.orm import Session

from service.deliveries.store.models import Delivery
from service.operations.store.tables import Base
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key, fingerprint
from service.platform.signing.tokens import Purpose, Token, make_token, sign_token
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.private_feed import find_feed_token, make_feed
from service.subscribers.settle_requests import settle_requests
from service.subscribers.sign_up import request_subscription
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import activate, find_by_email
from service.subscribers.validate import validate_sign_up
from support.newsletter.press import Turnable


@dataclass
class EnqueuedTasks:
    """A recorder of enqueued tasks, which settles what forms asked for as a worker does."""

    settle: Callable[[], object] = lambda: None
    tasks: list[tuple[object, ...]] = field(default_factory=list)

    def __call__(self, *task: object) -> None:
        self.tasks.append(task)
        if task == ("settle_requests",):
            self.settle()


def settling_tasks(
    engine: Engine, settings: Settings, clock: Callable[[], datetime]
) -> EnqueuedTasks:
    """Return a recorder whose requests are settled in this database at once."""
    return EnqueuedTasks(lambda: settle_requests(make_sessions(engine), settings, clock()))


@dataclass(frozen=True)
class Subscribers:
    """A factory of subscribers that signs their links as the mails do."""

    session: Session
    settings: Settings
    clock: Turnable

    def add(
        self, email: str = "reader@example.org", *topics: str, is_confirmed: bool = True
    ) -> Subscriber:
        form = SignUpForm(email, topics, timezone="Europe/Berlin")
        valid = validate_sign_up(self.session, form)
        request_subscription(self.session, valid, self.settings.secret_key, self.clock())
        subscriber = find_by_email(self.session, email_key(email))
        assert subscriber is not None
        if is_confirmed:
            activate(self.session, subscriber, "test", self.clock())
        self.session.commit()
        return subscriber

    def token(self, purpose: Purpose, subject: int) -> str:
        """Sign a link about a subscriber, by its id; of an edition, by that of its delivery.

        One about nobody is signed as well, since erased subscribers have links, too.
        """
        with Session(self.session.get_bind()) as session:
            delivery = session.get(Delivery, subject) if purpose is Purpose.EDITION else None
            owner = delivery.subscriber_id or 0 if delivery else subject
            holder = session.get(Subscriber, owner)
            if purpose is Purpose.FEED and holder is not None:
                make_feed(session, holder, self.clock())
                session.commit()
                feed = find_feed_token(session, holder)
                assert feed is not None
                return sign_token(feed, self.settings.secret_key)
        token = Token(purpose, subject, self.clock())
        if holder is not None:
            detail = fingerprint(holder.email_key) if purpose is Purpose.NEVER else ""
            token = replace(make_token(purpose, holder, self.clock(), detail), subject=subject)
        return sign_token(token, self.settings.secret_key)

    def reread(self, subscriber: Subscriber) -> Subscriber | None:
        """The reader as the database has them now; None once they were erased."""
        identity = inspect(subscriber).identity
        self.session.rollback()
        self.session.expunge_all()
        return self.session.get(Subscriber, identity)


def count_rows(session: Session) -> dict[str, int]:
    """Return the number of rows of each table, to check whether a request changed any."""
    session.rollback()
    return {
        table.name: session.execute(select(func.count()).select_from(table)).scalar_one()
        for table in Base.metadata.sorted_tables
    }
