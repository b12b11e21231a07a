"""What a run of sending works with, and what it is to send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from service.messages.rendering.renderer import Renderer
from service.platform.settings.settings import Settings
from service.sending.on_wire import OnWire
from service.sending.smtp.transport import Transport
from service.sending.steps import STEPS, Steps
from service.sending.store.claim import Places, Scope

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Sender:
    """The dependencies of sending; one per process. `clock` returns aware UTC.

    `places` is the position of its runs in each edition (see `Claimer`): the next run continues
    there and does not scan what was already sent. `on_wire` are its rows in flight, some of which
    hang for longer than a run.
    """

    sessions: sessionmaker[Session]
    settings: Settings
    renderer: Renderer
    transport: Transport
    clock: Clock
    places: Places = field(default_factory=dict)
    on_wire: OnWire = field(default_factory=OnWire)
    steps: Steps = STEPS


@dataclass(frozen=True, slots=True)
class SendRequest:
    """The task of a run: the due rows in its scope, one edition's, or the alert with this `occasion`.

    With `leaves_hanging` it ends while messages hang, and the process records their outcomes later;
    otherwise it waits for them, and `on_hanging` gets their number when nothing else is left. Once
    `is_ending` is true nothing more is sent. `wake` wakes another process (see `deliver_for`).
    """

    sender: Sender
    edition_id: int | None = None
    stops_at: datetime | None = None
    occasion: str = ""
    scope: Scope = Scope.ALL
    leaves_hanging: bool = False
    on_hanging: Callable[[int], None] = lambda _: None
    is_ending: Callable[[], bool] = lambda: False
    wake: Callable[[], None] = lambda: None
