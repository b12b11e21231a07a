"""Preferences as plain values for a JSON column: what a sign-up chose, until it is confirmed."""

from typing import Any

from service.deliveries.domain.recipients import Cadence, Timing
from service.subscribers.domain.sign_up import Preferences
from service.topics.domain.types import TopicMeasure


def preferences_to_json(chosen: Preferences) -> dict[str, Any]:
    """Return the preferences as values that JSON has."""
    return {
        "cadence": chosen.cadence.value,
        "hour": chosen.hour,
        "timezone": chosen.timezone,
        "has_empty_digests": chosen.has_empty_digests,
        "has_ai_summaries": chosen.has_ai_summaries,
        "topics": [list(topic) for topic in chosen.topics],
        "names": dict(chosen.names),
        "timing": chosen.timing.value,
        "full_cards": chosen.full_cards,
        "measures": {text: list(measure) for text, measure in chosen.measures.items()},
        "max_papers": chosen.max_papers,
        "weekly_topics_on": chosen.weekly_topics_on,
    }


def preferences_from_json(values: dict[str, Any]) -> Preferences:
    """Return the preferences that `preferences_to_json` wrote."""
    topics = tuple((query, canonical) for query, canonical in values["topics"])
    cadence, timing = Cadence(values["cadence"]), Timing(values["timing"])
    measures = {text: TopicMeasure(*each) for text, each in values["measures"].items()}
    given = {"cadence": cadence, "timing": timing, "topics": topics, "measures": measures}
    return Preferences(**{**values, **given})
