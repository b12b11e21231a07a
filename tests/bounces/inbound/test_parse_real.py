"""Real bounces against their known results: addresses found, verdicts right, no traceback.

`flufl.bounce` brings the addresses that its detectors are tested for, and whether each is a delay;
`sisimai` the status fields of its messages, from which the verdict follows where the code is an
exact one (RFC 3463). Vague codes (5.0.0, 5.5.0, 5.7.1) say nothing to compare with.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.bounces.inbound.bounce_mail import BounceMail
from service.bounces.inbound.parse import parse_bounce
from service.deliveries.domain.states import BounceVerdict

pytestmark = pytest.mark.real

V = BounceVerdict
BY_SUBJECT = {
    "1": V.ADDRESS,
    "2": V.ADDRESS,
    "3": V.CONFIGURATION,
    "4": V.CONFIGURATION,
    "5": V.CONFIGURATION,
    "6": V.CONTENT,
    "7": V.POLICY,
}
BY_DETAIL = {
    "1.7": V.CONFIGURATION,
    "1.8": V.CONFIGURATION,
    "2.2": V.FULL,
    "2.3": V.CONTENT,
    "3.4": V.CONTENT,
    "4.4": V.ADDRESS,
}
VAGUE = {"0.0", "1.0", "2.0", "3.0", "4.0", "4.7", "5.0", "6.0", "7.0", "7.1"}

Read = dict[str, BounceMail]


@pytest.fixture(scope="module")
def collection(real_data: Path) -> Path:
    return real_data / "bounces/dev"


@pytest.fixture(scope="module")
def read(collection: Path) -> Read:
    files = [*collection.glob("flufl.bounce/*.txt"), *collection.glob("sisimai/*/*.eml")]
    return {str(file.relative_to(collection)): parse_bounce(file.read_bytes()) for file in files}


def addresses(mail: BounceMail) -> set[str]:
    return {one.lower() for r in mail.recipients for one in (r.address, *r.aliases)}


def verdicts(mail: BounceMail) -> set[V]:
    return {one.verdict for one in mail.recipients} or {mail.verdict}


def flufl_cases(collection: Path, read: Read) -> Iterator[tuple[str, BounceMail, set[str], bool]]:
    """Yield (file, mail, addresses, whether all are delays) of files that name an address."""
    expected = json.loads((collection / "flufl.bounce/EXPECTED.json").read_text())
    for name, cases in expected.items():
        wanted = {one.lower() for case in cases for one in case["addresses"]}
        is_delay = all(case["temporary"] for case in cases)
        if wanted:
            yield name, read[f"flufl.bounce/{name}"], wanted, is_delay


def sisimai_heads(collection: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in (collection / "sisimai/HEADERS.jsonl").read_text().splitlines():
        head = json.loads(line)
        yield head["file"].removeprefix("dev/"), head


def verdict_of(status: str, action: str) -> V | None:
    kind, _, detail = status.partition(".")
    if action.startswith(("delay", "deliver")) or kind == "2":
        return V.NOT_A_BOUNCE
    if detail in VAGUE:
        return None
    return BY_DETAIL.get(detail) or BY_SUBJECT.get(detail.partition(".")[0])


def test_every_file_is_read(read: Read) -> None:
    assert len(read) == 568


def test_99_of_100_addresses_are_found(collection: Path, read: Read) -> None:
    sought, missed = 0, []
    for name, mail, wanted, _ in flufl_cases(collection, read):
        sought += len(wanted)
        missed += [(name, one) for one in wanted - addresses(mail)]
    for name, head in sisimai_heads(collection):
        # Some final recipients are files and programs.
        wanted = {one.strip("<>").lower() for one in head["final_recipient"] if "/" not in one}
        sought += len(wanted)
        missed += [(name, one) for one in wanted - addresses(read[name])]
    assert sought > 350
    assert len(missed) <= 0.01 * sought, missed


def test_97_of_100_verdicts_are_right(collection: Path, read: Read) -> None:
    judged = 0
    wrong: list[tuple[str, V | set[V]]] = []
    for name, mail, _, is_delay in flufl_cases(collection, read):
        judged += 1
        if is_delay is not (verdicts(mail) == {V.NOT_A_BOUNCE}):
            wrong.append((name, verdicts(mail)))
    for name, head in sisimai_heads(collection):
        actions = [*head["dsn_action"], *["failed"] * 9]
        wanted = [
            verdict
            for pair in zip(head["dsn_status"], actions, strict=False)
            if (verdict := verdict_of(*pair)) is not None
        ]
        if head["family"] == "arf":
            wanted = [V.COMPLAINT]
        judged += len(wanted)
        wrong += [(name, one) for one in wanted if one not in verdicts(read[name])]
    assert judged > 240
    assert len(wrong) <= 0.03 * judged, wrong


def test_mails_that_are_no_bounces_have_no_failed_address(read: Read) -> None:
    quiet = {
        name: mail.verdict for name, mail in read.items() if "/not/" in name or "rfc3834" in name
    }
    assert len(quiet) >= 4
    assert set(quiet.values()) <= {V.NOT_A_BOUNCE, V.AUTO_REPLY}
