"""A few hundred generated requests; `bench/api_cases.py` sends ten thousand."""

from fastapi import FastAPI
from support.web.api import ApiReader
from support.web.api_cases import run_cases, serve_without_limits

from service.platform.settings.settings import Settings

CASES = 240


def test_no_generated_request_gets_an_answer_that_is_not_documented(
    app: FastAPI, settings: Settings, reader: ApiReader
) -> None:
    with serve_without_limits(app, settings) as address:
        outcome = run_cases(address, reader.token, CASES, seed=1)
    assert not outcome.faults, "\n\n".join(outcome.faults)
    assert outcome.cases >= CASES * 0.8
    # They reach what they are meant to reach.
    assert {200, 202, 401, 404, 422} <= {*outcome.statuses}
