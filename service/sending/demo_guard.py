"""The guard of a demo's database, whose subscribers and papers are invented: it gets no relay."""

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.store.demo_mark import is_demo
from service.platform.database.engine import transaction
from service.platform.settings.kinds import is_loopback
from service.platform.settings.settings import Settings


class DemoDatabase(Exception):
    """A demo's database is used for something real; its text is one line that says what to do."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            f"the database of {settings.data_dir} is a demo's, with an invented subscriber: no real mail "
            "is sent from it; set PAPERBOY_DATA_DIR (or PAPERBOY_DATABASE_URL) to a place of your own"
        )


def refuse_demo(sessions: sessionmaker[Session], settings: Settings) -> None:
    """Raise `DemoDatabase` if this is a demo's database and there is a relay to send through.

    The development mailbox is none: a demo sends into it.
    """
    if settings.smtp_url or not all(is_loopback(relay.host) for relay in settings.relays):
        refuse_any_use(sessions, settings)


def refuse_any_use(sessions: sessionmaker[Session], settings: Settings) -> None:
    """Raise `DemoDatabase` if this is a demo's database, with a relay or without."""
    with transaction(sessions) as session:
        if is_demo(session):
            raise DemoDatabase(settings)
