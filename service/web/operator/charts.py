"""Charts of the operator's pages as values: what became of an edition, and what came back per day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from service.operations.dashboard import BounceDay
from service.presentation.dates import short_date
from service.web.views.charts import HEIGHT, WIDTH

# What an edition's bar is made of, from the left: the look, and the states that have it.
_PARTS = {
    "sent": ("sent",),
    "waiting": ("queued", "claimed", "in_flight"),
    "doubtful": ("in_doubt", "carried"),
    "refused": ("failed", "bounced", "complained"),
    "skipped": ("skipped",),
}
_SAID = {
    "sent": "sent", "waiting": "waiting", "doubtful": "in doubt or carried",
    "refused": "refused or came back", "skipped": "skipped",
}  # fmt: skip
# What came back, from the ground up.
_KINDS = {
    "reader": ("address", "full"),
    "ours": ("policy", "content", "configuration"),
    "complaint": ("complaint",),
}
_KIND_SAID = {
    "reader": "address or mailbox",
    "ours": "policy, content or configuration",
    "complaint": "complaint",
}
# One row among a million must be seen.
_NARROWEST = 3.0
_GAP = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a bar in units of the view box; `look` is its class, `label` what it says."""

    x: float
    y: float
    width: float
    height: float
    look: str
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart; `text` says it to whoever does not see it."""

    pieces: tuple[Piece, ...]
    text: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend."""

    look: str
    label: str


EDITION_KEYS = tuple(Key(look, said) for look, said in _SAID.items())
BOUNCE_KEYS = tuple(Key(look, said) for look, said in _KIND_SAID.items())


def draw_edition(states: Mapping[str, int]) -> Picture:
    """One bar over the whole width: the share of each kind of end, and of what waits."""
    counts = {
        look: count
        for look, names in _PARTS.items()
        if (count := sum(states.get(name, 0) for name in names))
    }
    said = [f"{count:,} {_SAID[look]}" for look, count in counts.items()]
    widths = _share(list(counts.values()))
    pieces, x = [], 0.0
    for look, width, label in zip(counts, widths, said, strict=True):
        pieces.append(Piece(round(x, 1), 0, round(width, 1), 12, look, label))
        x += width
    return Picture(tuple(pieces), ", ".join(said) or "no digests yet", WIDTH, 12)


def _share(counts: Sequence[int]) -> list[float]:
    """Widths in proportion, none too narrow to be seen; together they are the whole."""
    whole = sum(counts)
    widths = [max(_NARROWEST, WIDTH * count / whole) for count in counts]
    scale = WIDTH / sum(widths) if widths else 1.0
    return [width * scale for width in widths]


def draw_bounces(days: Sequence[BounceDay]) -> Picture:
    """A bar a day, oldest first, stacked by whose fault it was; needs at least one day."""
    per_day = [(day.on, _kinds(day.verdicts)) for day in days]
    most = max(1, *(sum(kinds.values()) for _, kinds in per_day))
    step = WIDTH / len(per_day)
    pieces: list[Piece] = []
    for number, (on, kinds) in enumerate(per_day):
        bottom = float(HEIGHT)
        for look, count in kinds.items():
            height = max(1.5, HEIGHT * count / most)
            bottom -= height
            label = f"{short_date(on)}: {count:,} × {_KIND_SAID[look]}"
            x, y = round(number * step, 1), round(max(0.0, bottom), 1)
            pieces.append(Piece(x, y, round(step - _GAP, 1), round(height, 1), look, label))
    return Picture(tuple(pieces), _say_bounces(per_day), WIDTH, HEIGHT)


def _kinds(verdicts: Mapping[str, int]) -> dict[str, int]:
    return {
        look: count
        for look, names in _KINDS.items()
        if (count := sum(verdicts.get(name, 0) for name in names))
    }


def _say_bounces(per_day: Sequence[tuple[date, Mapping[str, int]]]) -> str:
    span = f"from {short_date(per_day[0][0])} to {short_date(per_day[-1][0])}"
    totals = {look: sum(kinds.get(look, 0) for _, kinds in per_day) for look in _KINDS}
    said = [f"{count:,} {_KIND_SAID[look]}" for look, count in totals.items() if count]
    return f"{', '.join(said) or 'Nothing came back'} {span}."
