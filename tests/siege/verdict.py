"""What a siege must not break, from its figures. Pure, so that a test can show that each promise can fail."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.web.core.mail_gate import BUDGET

LONGEST_HONEST_P95_MS = 1000
MOST_MIB = 500
# Children of a worker's pool that may be replaced in a minute, by the limits on time and memory.
MOST_REPLACED = 30


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted. `sent` is recipient -> accepted digests; `replaced` counts pool processes."""

    subscribers: int
    sent: Counter[str]
    edition_seconds: float
    balanced: bool
    bounces_due: int
    bounces_recorded: int
    strangers_mailed: int
    attacks: Mapping[str, Any]
    visitors: Mapping[str, Any]
    peak_mib: int
    peaks: Mapping[str, int]
    replaced: int
    parts_ended: int

    def as_json(self) -> dict[str, Any]:
        """Return the figures under the names that other programs read."""
        return {
            "edition_complete": len(self.sent) == self.subscribers,
            "balanced": self.balanced,
            "honest_p95_ms": self.visitors["p95_ms"],
            "honest_refused": self.visitors["refused"],
            "peak_mib": self.peak_mib,
            "doubled": sum(1 for count in self.sent.values() if count > 1),
            "edition_seconds": round(self.edition_seconds, 1),
            "bounces_recorded": self.bounces_recorded,
            "bounces_due": self.bounces_due,
            "peaks_mib": dict(self.peaks),
            "replaced": self.replaced,
            "strangers_mailed": self.strangers_mailed,
            "honest": dict(self.visitors),
            "attacks": dict(self.attacks),
        }


def broken_promises(figures: Figures) -> list[str]:
    """Return one sentence for each promise that the figures do not keep."""
    visitors = figures.visitors
    missing = figures.subscribers - len(figures.sent)
    doubled = sum(1 for count in figures.sent.values() if count > 1)
    checks = (
        (missing != 0, f"{missing} of {figures.subscribers} digests did not arrive"),
        (doubled > 0, f"{doubled} subscribers got the edition twice"),
        (not figures.balanced, "the balance of the edition does not close"),
        (figures.bounces_recorded < figures.bounces_due,
         f"{figures.bounces_recorded} of {figures.bounces_due} honest bounces were recorded"),
        (visitors["p95_ms"] > LONGEST_HONEST_P95_MS,
         f"honest requests took {visitors['p95_ms']} ms (95 of 100), more than {LONGEST_HONEST_P95_MS}"),
        (visitors["refused"] > 0, f"{visitors['refused']} honest requests were refused: {visitors['refusals']}"),
        (visitors["subscribed"] == 0, "no honest visitor managed to subscribe"),
        (figures.attacks["requests"] == 0, "nothing was attacked"),
        (figures.strangers_mailed > BUDGET,
         f"{figures.strangers_mailed} strangers were mailed, more than {BUDGET} in an hour"),
        (figures.peak_mib > MOST_MIB, f"a process took {figures.peak_mib} MiB, more than {MOST_MIB}: {dict(figures.peaks)}"),
        (figures.parts_ended > 0, f"{figures.parts_ended} parts of the service ended by themselves"),
        (figures.replaced > MOST_REPLACED, f"{figures.replaced} worker processes were replaced"),
    )  # fmt: skip
    return [sentence for is_broken, sentence in checks if is_broken]
