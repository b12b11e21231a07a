"""Links that change what comes: the same for all readers but for their signed beginning."""

from __future__ import annotations

from markupsafe import escape

from service.messages.rendering.fast_path.fragments import CHANGE, TOPIC
from service.presentation.sanitize import Slot


def changed(query: str, *, is_text: bool = False) -> Slot:
    """`?keep=12` as the whole address, for a card: its beginning and its topic come later."""
    said = query if is_text else str(escape(query))
    return Slot(CHANGE + said.replace("topic=0", f"topic={TOPIC}", 1))
