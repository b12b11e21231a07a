"""A subscriber with one topic, and the addresses of the links in that subscriber's mails."""

import pytest
from support.web.site import Subscribers

from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber


@pytest.fixture
def subscriber(subscribers: Subscribers) -> Subscriber:
    return subscribers.add("reader@example.org", "cats")


@pytest.fixture
def change(subscribers: Subscribers, subscriber: Subscriber) -> str:
    return f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"


@pytest.fixture
def link(subscribers: Subscribers, subscriber: Subscriber) -> str:
    return f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
