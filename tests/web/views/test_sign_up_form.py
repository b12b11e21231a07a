"""Errors of the sign-up form are shown beside their fields."""

from service.subscribers.validate import topic_fault
from service.topics.topics import TopicError
from service.web.views.sign_up_form import Pointer, TypedForm, point_at, with_faults


def test_a_pointer_shows_a_long_topic_around_its_error() -> None:
    topic = "x" * 100 + ")" + "y" * 100
    pointer = point_at(TopicError(topic, "wrong", 100))
    assert pointer == Pointer("…" + "x" * 36, ")", "y" * 36 + "…")


def test_an_error_may_be_at_the_end_or_without_a_position() -> None:
    assert point_at(TopicError("cats AND", "more", 8)) == Pointer("cats AND", "", "")
    assert point_at(TopicError("cats", "too many")) is None


def test_an_error_is_shown_beside_its_topic() -> None:
    typed = TypedForm(topics=("cats", "dogs   )"))
    form = with_faults(typed, [topic_fault(TopicError("dogs )", "wrong", 5), 1)])
    fault = form.fault_of("topic", 1)
    assert fault
    assert fault.text == "wrong"
    assert form.fault_of("topic", 0) is None
    assert not form.is_schedule_open
