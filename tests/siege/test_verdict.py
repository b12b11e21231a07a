"""Each promise of the siege can be broken, and is then named."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from siege.verdict import Figures, broken_promises

KEPT = Figures(
    subscribers=3,
    sent=Counter(["a@example.org", "b@example.org", "c@example.org"]),
    edition_seconds=2.0,
    balanced=True,
    bounces_due=1,
    bounces_recorded=1,
    strangers_mailed=500,
    attacks={"requests": 100},
    visitors={"p95_ms": 300, "refused": 0, "refusals": {}, "subscribed": 5},
    peak_mib=200,
    peaks={"workers": 200},
    replaced=0,
    parts_ended=0,
)


def test_a_siege_that_was_withstood_breaks_no_promise() -> None:
    assert broken_promises(KEPT) == []
    figures = KEPT.as_json()
    keys = ("edition_complete", "balanced", "honest_p95_ms", "honest_refused", "peak_mib")
    assert [figures[key] for key in keys] == [True, True, 300, 0, 200]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sent": Counter(["a@example.org", "b@example.org"])}, "1 of 3 digests did not arrive"),
        ({"sent": KEPT.sent + Counter(["a@example.org"])}, "1 subscribers got the edition twice"),
        ({"balanced": False}, "the balance of the edition does not close"),
        ({"bounces_recorded": 0}, "0 of 1 honest bounces were recorded"),
        ({"visitors": {**KEPT.visitors, "p95_ms": 1001}}, "honest requests took 1001 ms"),
        ({"visitors": {**KEPT.visitors, "refused": 1}}, "1 honest requests were refused"),
        (
            {"visitors": {**KEPT.visitors, "subscribed": 0}},
            "no honest visitor managed to subscribe",
        ),
        ({"attacks": {"requests": 0}}, "nothing was attacked"),
        ({"peak_mib": 501}, "a process took 501 MiB"),
        ({"strangers_mailed": 501}, "501 strangers were mailed, more than 500 in an hour"),
        ({"parts_ended": 1}, "1 parts of the service ended by themselves"),
        ({"replaced": 31}, "31 worker processes were replaced"),
    ],
)
def test_a_broken_promise_is_named(change: dict[str, Any], sentence: str) -> None:
    (found,) = broken_promises(replace(KEPT, **change))
    assert found.startswith(sentence)
