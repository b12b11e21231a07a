"""The operator's password in tests, and the token in the forms of the operator's pages."""

import re

import httpx2

PASSWORD = "a long password of the operator's"


def token_in(page: httpx2.Response) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]
