"""For tests of the API: the operator's key, and a reader with theirs and a digest that was sent."""

from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.editions.publish import publish_now
from service.messages.rendering.renderer import Renderer
from service.platform.database.engine import make_sessions
from service.platform.signing.tokens import Purpose
from service.sending.deliver import deliver
from service.sending.sender import Sender
from support.newsletter.press import PlannedTransport
from support.web.papers import FRIDAY, make_announcement, store_papers
from support.web.site import Subscribers

ADMISSION = "a-key-of-this-test-alone-0123456789"


@dataclass(frozen=True)
class ApiReader:
    """A subscriber's id, and the tokens of the preferences and of the private feed."""

    id: int
    token: str
    feed: str

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.token)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def add_reader(session: Session, engine: Engine, subscribers: Subscribers) -> ApiReader:
    """Add a reader with the topic `cats`, to whom a digest with one paper was sent."""
    subscriber = subscribers.add("reader@example.org", "cats")
    store_papers(session, [make_announcement(1, "Cats"), make_announcement(2, "Dogs alone")])
    sessions = make_sessions(engine)
    publish_now(sessions, subscribers.settings, Cadence.DAILY, FRIDAY, subscribers.clock())
    transport = PlannedTransport()
    deliver(Sender(sessions, subscribers.settings, Renderer(), transport, subscribers.clock))
    session.rollback()
    tokens = (
        subscribers.token(purpose, subscriber.id) for purpose in (Purpose.PREFERENCES, Purpose.FEED)
    )
    return ApiReader(subscriber.id, *tokens)
