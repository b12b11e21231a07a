"""Validating forms: values that can be stored, or all faults at once."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.stored import read_tables

from service.deliveries.domain.recipients import Cadence, Timing
from service.subscribers.domain.sign_up import Preferences, SignUpForm, ValidSignUp
from service.subscribers.validate import (
    SignUpError,
    validate_address,
    validate_preferences,
    validate_sign_up,
)
from service.topics.topics import MOST_TOPICS

EMAIL = "reader@example.org"
FORM = SignUpForm(EMAIL, ("cat:cs.CL", '"prompt tuning"'), "weekdays", "6", "Europe/Berlin", "/")


@pytest.mark.parametrize(
    ("field", "form"),
    [
        ("email", replace(FORM, email="no address")),
        ("email", replace(FORM, email="")),
        ("email", replace(FORM, email="a\x00b@example.org")),
        ("email", replace(FORM, email="søren@example.org")),
        ("email", replace(FORM, email=f"{'x' * 65}@example.org")),
        ("email", replace(FORM, email="a@b.org\r\nBcc: c@d.org")),
        ("cadence", replace(FORM, cadence="hourly")),
        ("hour", replace(FORM, hour="24")),
        ("hour", replace(FORM, hour="-1")),
        ("hour", replace(FORM, hour="٧")),
        ("hour", replace(FORM, hour="9" * 5000)),
        ("hour", replace(FORM, hour="")),
        ("timing", replace(FORM, timing="soon")),
        ("timing", replace(FORM, timing="")),
        ("full_cards", replace(FORM, full_cards="101")),
        ("full_cards", replace(FORM, full_cards="")),
        ("timezone", replace(FORM, timezone="Europe/Nowhere")),
        ("timezone", replace(FORM, timezone="")),
    ],
)
def test_an_invalid_value_names_its_field_and_changes_nothing(
    session: Session, engine: Engine, field: str, form: SignUpForm
) -> None:
    with pytest.raises(SignUpError) as refused:
        validate_sign_up(session, form)
    assert [fault.field for fault in refused.value.faults] == [field]
    session.commit()
    assert not any(read_tables(engine).values())


def test_all_faults_are_reported_at_once_each_with_its_field(session: Session) -> None:
    topics = ('"open', " ", "cats", "the")
    form = SignUpForm("nobody", topics, "hourly", "25", "Europe/Nowhere")
    with pytest.raises(SignUpError) as refused:
        validate_sign_up(session, form)
    places = [(fault.field, fault.row) for fault in refused.value.faults]
    wrong = [("topic", 0), ("topic", 3), ("cadence", 0), ("hour", 0), ("timezone", 0)]
    assert places == [("email", 0), *wrong]
    with pytest.raises(SignUpError) as refused:
        validate_preferences(session, form)
    assert [(fault.field, fault.row) for fault in refused.value.faults] == wrong


def test_a_valid_sign_up_holds_all_that_is_stored(session: Session) -> None:
    topics = ("  graph \n networks ", "", "   ", "cat:cs.cl")
    form = SignUpForm(" Ada@BÜCHER.example ", topics, "weekly", "0", "UTC", "/subscribe", "de-AT")
    written = (("graph networks", "graph networks"), ("cat:cs.cl", "cat:cs.CL"))
    chosen = Preferences(Cadence.WEEKLY, 0, "UTC", topics=written, timing=Timing.WHEN_COMPLETE)
    form = replace(form, timing="when_complete")
    address = "Ada@xn--bcher-kva.example"
    valid = ValidSignUp(address, address.casefold(), chosen, "/subscribe", "de-AT")
    assert validate_sign_up(session, form) == valid
    assert validate_preferences(session, form) == chosen


def test_more_topics_than_allowed_are_refused_with_the_first_too_many(session: Session) -> None:
    form = SignUpForm(EMAIL, tuple(f"word{n}" for n in range(MOST_TOPICS + 2)))
    allowed = replace(form, topics=form.topics[:MOST_TOPICS])
    assert len(validate_sign_up(session, allowed).preferences.topics) == MOST_TOPICS
    with pytest.raises(SignUpError, match="At most 20") as refused:
        validate_sign_up(session, form)
    (fault,) = refused.value.faults
    assert (fault.field, fault.row) == ("topic", MOST_TOPICS)
    assert fault.topic is not None
    assert (fault.topic.topic, fault.topic.position) == (form.topics[MOST_TOPICS], None)


def test_an_address_is_kept_as_typed_with_its_domain_in_ascii() -> None:
    assert validate_address(" Reader+News@BÜCHER.example ") == "Reader+News@xn--bcher-kva.example"
    utf8 = validate_address("Änne@Bücher.example", takes_utf8=True)
    assert utf8 == "Änne@xn--bcher-kva.example"
    with pytest.raises(SignUpError, match="outside ASCII before the @"):
        validate_address("änne@bücher.example")
