"""Faults of topics and forms, as problems of the API."""

from service.subscribers.validate import FormFault, SignUpError
from service.topics.topics import TopicError
from service.web.core.problems import ApiProblem, FieldProblem

_OF_TOPICS = {"topic": "query", "name": "name", "measure": "comes"}


def explain_topic(error: TopicError) -> ApiProblem:
    """Return the fault of the topic in the parameter `q`."""
    return ApiProblem(422, errors=[FieldProblem("q", str(error), error.position)])


def explain_fields(error: SignUpError) -> ApiProblem:
    """Return the faults of a form, field by field; a topic has its row."""
    return ApiProblem(422, errors=[_explain(fault) for fault in error.faults])


def _explain(fault: FormFault) -> FieldProblem:
    position = fault.topic.position if fault.topic else None
    name = _OF_TOPICS.get(fault.field)
    field = f"topics.{fault.row}.{name}" if name else fault.field
    return FieldProblem(field, fault.text, position)
