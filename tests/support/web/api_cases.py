"""Generated requests to the JSON API (schemathesis): no answer is a 5xx or one that OpenAPI does not document.

Half of the cases fit the schema, the others break it in one place. The readers' cases have a reader's
key and the operator's the operator's, and one in eight has none. The limits of work are left out, or
nearly every answer would be a 429.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from limits import RateLimitItem
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from service.platform.settings.settings import Settings
from service.web.api.operations import OPERATIONS, ROOT, Part
from service.web.core.rate_limits import SignUpLimits
from support.web.api import ADMISSION, bearer
from support.web.server import serve

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
# What breaks the schema may also be too long for any request.
_REFUSALS = {"expected-statuses": [400, 401, 404, 413, 415, 422, 431]}
_CONFIG = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": _REFUSALS}})
_MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_ONE_WITHOUT_KEY = 8


class NoWorkLimits(SignUpLimits):
    """Limits with tokens for any amount of work, and no wait after a wrong key."""

    def seconds_until_work(self, item: RateLimitItem, visitor: str, cost: int) -> int:  # noqa: ARG002
        return 0

    def count_wrong_password(self) -> float:
        return 0.0


@contextmanager
def serve_without_limits(app: FastAPI, settings: Settings) -> Iterator[str]:
    """Serve the site with `NoWorkLimits`; yield its address."""
    limits = NoWorkLimits(settings.redis_url)
    app.state.context = replace(app.state.context, limits=limits)
    with serve(app) as address:
        yield address


@dataclass
class Outcome:
    """How many cases were answered with which status, and the faults that were found."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def run_cases(
    address: str, token: str, count: int, seed: int, seconds: float = math.inf
) -> Outcome:
    """Send at least `count` cases, as many of each operation and kind, unless the time is over before.

    The same seed sends the same. `token` is that of a link to the preferences.
    """
    end = time.monotonic() + seconds
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json", config=_CONFIG)
    outcome = Outcome()
    keys = {Part.SUBSCRIBER: bearer(token), Part.OPERATOR: bearer(ADMISSION)}
    with requests.Session() as session:
        # An operation without parameters has one case only, which the others make up for.
        while outcome.cases < count and time.monotonic() < end:
            each = -(-(count - outcome.cases) // (len(OPERATIONS) * len(_MODES)))
            for operation in OPERATIONS:
                headers = keys.get(operation.part)
                for mode in _MODES:
                    strategy = schema[f"{ROOT}{operation.path}"][operation.method].as_strategy(
                        generation_mode=mode, headers=headers
                    )
                    _send(strategy, _Sender(address, session, outcome, end), each, seed)
            seed += 1
    return outcome


@dataclass
class _Sender:
    address: str
    session: requests.Session
    outcome: Outcome
    end: float

    def __call__(self, case: Case[Any]) -> None:
        if time.monotonic() > self.end:
            return
        outcome = self.outcome
        outcome.cases += 1
        if outcome.cases % _ONE_WITHOUT_KEY == 0:
            case.headers.pop("Authorization", None)
        response = case.call(base_url=self.address, session=self.session)
        outcome.statuses[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as found:
            told = "\n".join(str(each) for each in found.exceptions)
            outcome.faults.append(f"{told}\n{response.status_code} {case.as_curl_command()[:500]}")


def _send(strategy: SearchStrategy[Case[Any]], sender: _Sender, count: int, seed: int) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def send(case: Case[Any]) -> None:
        sender(case)

    try:
        send()
    except Unsatisfiable:
        pass  # Where there is no parameter, none can be wrong.


def describe(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Return the counts of some runs together."""
    statuses: Counter[int] = Counter()
    for each in outcomes:
        statuses += each.statuses
    return {
        "cases": sum(each.cases for each in outcomes),
        "faults": sum(len(each.faults) for each in outcomes),
        "statuses": {str(status): statuses[status] for status in sorted(statuses)},
    }
