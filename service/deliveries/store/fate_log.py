"""The log lines of deliveries: their changes of state, as the rows have them."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState
from service.platform.database.engine import log_on_commit
from service.platform.logs import get_logger

log = get_logger(__name__)

# A line with more ids than this is cut in several.
_MOST_IDS = 500


def log_fates(session: Session, changes: Iterable[tuple[int, str, str]]) -> None:
    """Log, once it is committed, each delivery's new state: (id, state, detail).

    Deliveries with the same state and detail share a line: a line for each mail would take
    a third of the time of sending. Replies to sent mails are only in their rows.
    """
    groups: defaultdict[tuple[DeliveryState, str], list[int]] = defaultdict(list)
    for number, name, detail in changes:
        state = DeliveryState(name)
        groups[state, "" if state is DeliveryState.SENT else detail].append(number)
    for (state, detail), ids in groups.items():
        why = {"detail": detail[:500]} if detail else {}
        for first in range(0, len(ids), _MOST_IDS):
            some = ids[first : first + _MOST_IDS]
            log_on_commit(session, log, "delivery", state=state, delivery_ids=some, **why)
