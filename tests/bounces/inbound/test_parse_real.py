"""Real bounces against what is true of them: addresses, verdicts, no wrong suppression, no traceback.

`bench/bouncing/truth.py` says where the truth comes from, `bench/bounces.py` prints the figures.
"""

import sys
from pathlib import Path

import pytest
from support.rules import ROOT

from service.bounces.inbound.bounce_mail import BounceMail
from service.bounces.inbound.parse import parse_bounce
from service.deliveries.domain.states import BounceVerdict

sys.path.insert(0, str(ROOT / "bench"))

from bouncing.score import score  # the path must come first
from bouncing.truth import Case, load_cases

pytestmark = pytest.mark.real

V = BounceVerdict

Answers = list[tuple[Case, BounceMail]]


@pytest.fixture(scope="module")
def answers(real_data: Path) -> Answers:
    cases = load_cases(real_data / "bounces/dev")
    return [(case, parse_bounce(case.path.read_bytes())) for case in cases]


def test_every_file_is_read_and_nearly_all_have_a_known_verdict(answers: Answers) -> None:
    assert len(answers) == 568
    assert sum(bool(case.verdicts) for case, _ in answers) >= 550


def test_99_of_100_addresses_are_found(answers: Answers) -> None:
    found = score(answers)
    assert found.addresses > 350
    assert found.address_share >= 0.99, found.missed


def test_98_of_100_verdicts_are_right(answers: Answers) -> None:
    found = score(answers)
    assert found.verdict_share >= 0.98, found.wrong


def test_98_of_100_verdicts_are_right_without_those_judged_by_a_look(answers: Answers) -> None:
    found = score([(case, mail) for case, mail in answers if case.origin != "eye"])
    assert found.verdict_share >= 0.98, found.wrong


def test_no_reader_is_blamed_for_what_is_not_about_the_reader(answers: Answers) -> None:
    assert score(answers).wrong_suppressions == []


def test_the_score_sees_a_wrong_suppression_and_a_wrong_verdict(answers: Answers) -> None:
    swapped = [
        (case, other)
        for (case, _), (_, other) in zip(answers, [*answers[1:], answers[0]], strict=True)
    ]
    found = score(swapped)
    assert found.wrong_suppressions
    assert found.verdict_share < 0.9


def test_mails_that_are_no_bounces_have_no_failed_address(answers: Answers) -> None:
    quiet = {
        case.name: mail.verdict
        for case, mail in answers
        if "/not/" in case.name or "rfc3834" in case.name
    }
    assert len(quiet) >= 4
    assert set(quiet.values()) <= {V.NOT_A_BOUNCE, V.AUTO_REPLY}
