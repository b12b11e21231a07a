"""The dev collection of real bounces with the addresses and verdicts that are true of each file.

Addresses come from the collections alone: flufl.bounce's EXPECTED.json, and the final recipients
in HEADERS.jsonl. Verdicts come from the first of these that has one, never from our own output:

- `eye`: a look at the mail, where all others are missing or the text contradicts them;
- `data`: EXPECTED.json (a delay), the kind of report, the folder, or exact codes of RFC 3463;
- `code`: an exact code that is only in the mail's text;
- `sisimai`: the reason that Sisimai 4.25.15 gives, or that the mail's address names.

`eye`, `code` and `sisimai` are in `verdicts.txt`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# Sisimai's reasons (https://libsisimai.org/en/reason/) as verdicts. `onhold` and `undefined` say
# that the reason is not known.
REASONS = {
    "address": "userunknown hostunknown hasmoved suspend filtered",
    "full": "mailboxfull",
    "policy": "blocked rejected spamdetected policyviolation norelaying securityerror toomanyconn",
    "content": "mesgtoobig exceedlimit contenterror virusdetected",
    "configuration": "expired networkerror mailererror systemerror systemfull notaccept syntaxerror",
    "not_a_bounce": "delivered",
    "auto_reply": "vacation",
    "complaint": "feedback",
}
VERDICT_OF = {reason: verdict for verdict, some in REASONS.items() for reason in some.split()}

# RFC 3463 and the IANA registry. Details that servers use for anything have no verdict.
_EXACT = {
    **dict.fromkeys(("1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "1.351", "2.1", "7.13"), "address"),
    **dict.fromkeys(("1.7", "1.8", "1.9", "2.4"), "configuration"),
    "2.2": "full",
    "2.3": "content",
    "3.4": "content",
}
_VAGUE = frozenset(
    ["0.0", "1.0", "2.0", "3.0", "4.0", "5.0", "5.1", "6.0", "7.0", "7.1", "4.1", "4.4"]
)
_BY_SUBJECT = {**dict.fromkeys("345", "configuration"), "6": "content", "7": "policy"}


@dataclass(frozen=True)
class Case:
    """A file with what is true of it: `addresses` (lower case) and `verdicts` may be empty.

    `by_data` are the verdicts of the origin `data`, where a look has overruled them as well.
    """

    name: str
    path: Path
    addresses: frozenset[str]
    verdicts: frozenset[str]
    origin: str
    by_data: frozenset[str]


def load_cases(folder: Path) -> list[Case]:
    """Return all files of `bounces/dev`, by name."""
    expected = json.loads((folder / "flufl.bounce/EXPECTED.json").read_text())
    heads = dict(_heads(folder))
    listed = dict(_listed())
    files = [*folder.glob("flufl.bounce/*.txt"), *folder.glob("sisimai/*/*.eml")]
    cases = []
    for path in sorted(files):
        name = str(path.relative_to(folder))
        told, head = expected.get(path.name, []), heads.get(name)
        # The same mail with other line ends, which HEADERS.jsonl has read.
        twin = head if head and head["dsn_status"] else heads.get(name.replace("/mac/", "/dos/"))
        by_data = _verdicts_of_data(name, told, twin)
        origin, verdicts = listed.get(name) or ("data", by_data)
        addresses = _addresses(told, head)
        cases.append(Case(name, path, addresses, verdicts, origin if verdicts else "", by_data))
    return cases


def _heads(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for line in (folder / "sisimai/HEADERS.jsonl").read_text().splitlines():
        head = json.loads(line)
        yield head["file"].removeprefix("dev/"), head


def _listed() -> Iterator[tuple[str, tuple[str, frozenset[str]]]]:
    value = ("", frozenset[str]())
    for line in (HERE / "verdicts.txt").read_text().splitlines():
        if line.startswith("["):
            origin, _, verdicts = line.strip("[]").partition(" ")
            value = origin, frozenset(verdicts.split(","))
        elif not line.startswith("#"):
            yield from ((name, value) for name in line.split())


def _addresses(told: list[dict[str, Any]], head: Mapping[str, Any] | None) -> frozenset[str]:
    named = [one for case in told for one in case["addresses"]]
    # Some final recipients are files and programs.
    named += [one.strip("<>") for one in (head or {}).get("final_recipient", []) if "/" not in one]
    return frozenset(one.lower() for one in named)


def _verdicts_of_data(
    name: str, told: list[dict[str, Any]], head: Mapping[str, Any] | None
) -> frozenset[str]:
    if "/not/" in name or (told and all(case["temporary"] for case in told)):
        return frozenset({"not_a_bounce"})
    if head is None:
        return frozenset()
    if head["family"] == "arf":
        return frozenset({"complaint"})
    if any(action.startswith("delay") for action in head["dsn_action"]):
        return frozenset({"not_a_bounce"})
    verdicts = [_verdict_of_code(status) for status in head["dsn_status"]]
    return frozenset(filter(None, verdicts)) if all(verdicts) else frozenset()


def _verdict_of_code(status: str) -> str | None:
    kind, _, detail = status.partition(" ")[0].partition(".")
    if kind == "2":
        return "not_a_bounce"
    if detail in _VAGUE:
        return None
    return _EXACT.get(detail) or _BY_SUBJECT.get(detail.partition(".")[0])
