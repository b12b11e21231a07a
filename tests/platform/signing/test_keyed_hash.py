"""Our HMAC equals the standard library's, for keys and texts of every length."""

import hmac
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from service.platform.signing.keyed_hash import keyed_hash


@given(st.binary(max_size=200), st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_it_is_hmac_with_sha256(key: bytes, texts: list[bytes]) -> None:
    assert [keyed_hash(key)(text) for text in texts] == [
        hmac.digest(key, text, "sha256") for text in texts
    ]


def test_keys_around_the_size_of_a_block() -> None:
    for length in (0, 1, 63, 64, 65, 128):
        key = bytes(range(length))
        assert keyed_hash(key)(b"text") == hmac.digest(key, b"text", "sha256")


def test_threads_may_share_a_key() -> None:
    texts = [b"%d" % number * 1_000 for number in range(400)]
    sign = keyed_hash(b"a key of the tests")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(sign, texts))
    assert found == [hmac.digest(b"a key of the tests", text, "sha256") for text in texts]
