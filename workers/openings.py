"""What a worker does each minute for editions: open, freeze, catch up, enqueue the chunks."""

from service.editions.catch_up import compose_catch_ups
from service.editions.publish import (
    SCHEDULED,
    came_back,
    finish_open_editions,
    open_due_editions,
    pending_chunks,
)
from service.papers.listing_check import close_overdue
from workers.runtime import Runtime


def open_what_is_due(here: Runtime) -> None:
    """Open the editions that are due, enqueue their chunks, and compose catch-up mails."""
    if came_back(here.sessions, here.clock()):
        here.enqueue("heal")
    close_overdue(here.sessions, here.clock())
    open_due_editions(here.sessions, here.settings, here.clock(), here.opening or SCHEDULED)
    finish_open_editions(here.sessions, here.clock())
    if compose_catch_ups(here.sessions, here.settings, here.clock()):
        here.enqueue("deliver_urgent")
    for chunk_id in pending_chunks(here.sessions):
        here.enqueue("compose", chunk_id)
