"""Our parser's answers against the truth: addresses, verdicts, and wrong suppressions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bouncing.truth import Case

from service.bounces.inbound.bounce_mail import BounceMail

ABOUT_SUBSCRIBER = frozenset({"address", "full"})


@dataclass
class Score:
    """Counts, and the files that are wrong.

    `wrong_suppressions`: (file, address, our verdict, what is true, weight in percent, reply), for
    each recipient that anything counts against though the file is about something else, or names
    another address.
    """

    addresses: int = 0
    addresses_found: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    verdicts_right: Counter[str] = field(default_factory=Counter)
    by_data: int = 0
    by_data_right: int = 0
    missed: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    wrong_suppressions: list[tuple[str, str, str, str, int, str]] = field(default_factory=list)

    @property
    def address_share(self) -> float:
        return self.addresses_found / max(1, self.addresses)

    @property
    def verdict_share(self) -> float:
        return self.verdicts_right.total() / max(1, self.verdicts.total())


def score(answers: Sequence[tuple[Case, BounceMail]]) -> Score:
    """Return the score of our answers. A file's verdicts are right if all of them are the same."""
    total = Score()
    for case, mail in answers:
        _score_addresses(total, case, mail)
        ours = {one.verdict.value for one in mail.recipients} or {mail.verdict.value}
        total.by_data += bool(case.by_data)
        total.by_data_right += bool(case.by_data) and ours == case.by_data
        if case.verdicts:
            total.verdicts[case.origin] += 1
            if ours == case.verdicts:
                total.verdicts_right[case.origin] += 1
            else:
                total.wrong.append((case.name, _text(case.verdicts), _text(ours)))
        _score_suppressions(total, case, mail)
    return total


def _score_addresses(total: Score, case: Case, mail: BounceMail) -> None:
    found = {one.lower() for r in mail.recipients for one in (r.address, *r.aliases)}
    total.addresses += len(case.addresses)
    total.addresses_found += len(case.addresses & found)
    total.missed += [(case.name, address) for address in sorted(case.addresses - found)]


def _score_suppressions(total: Score, case: Case, mail: BounceMail) -> None:
    for one in mail.recipients:
        names = {one.address.lower(), *(alias.lower() for alias in one.aliases)}
        is_stranger = bool(case.addresses) and not names & case.addresses
        is_other = bool(case.verdicts) and one.verdict.value not in case.verdicts
        if one.weight and (is_stranger or is_other):
            true = _text(case.verdicts) or _text(case.addresses)
            row = (case.name, one.address, one.verdict.value, true, one.weight, one.reply[:80])
            total.wrong_suppressions.append(row)


def _text(values: frozenset[str] | set[str]) -> str:
    return " ".join(sorted(values))
