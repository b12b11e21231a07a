"""Tasks of the queue that composes chunks of an edition."""

from service.editions.compose import compose_chunk
from workers.app import app, process


@app.task(name="paperboy.compose")
def compose(chunk_id: int) -> None:
    """Compose one chunk of subscribers, and enqueue sending where it was the edition's last."""
    here = process.runtime
    if compose_chunk(here.sessions, here.settings, chunk_id, here.clock(), here.editions):
        here.enqueue("deliver")
