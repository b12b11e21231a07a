"""Pages compressed in pieces: whatever stands between them, both ways to send them agree."""

import gzip

import pytest

from service.web.core.packed_page import join_packed, pack, unpack

TEXT = "Cats and β-sheets. ".encode() * 3_000


@pytest.mark.parametrize("between", [b"", b"a token", bytes(range(256)) * 255])
@pytest.mark.parametrize("texts", [[TEXT], [TEXT, b"", TEXT[:77]], [b"", b""], [b"x"]])
def test_a_page_in_pieces_is_the_same_as_in_one(texts: list[bytes], between: bytes) -> None:
    pieces = [pack(text) for text in texts]
    assert [unpack(piece) for piece in pieces] == texts
    # It checks the sum and the size.
    assert gzip.decompress(join_packed(pieces, between)) == between.join(texts)


def test_a_piece_is_as_small_as_the_whole_page() -> None:
    assert len(join_packed([pack(TEXT)], b"")) < len(gzip.compress(TEXT, 6)) + 30


def test_what_stands_between_has_a_largest_size() -> None:
    with pytest.raises(ValueError, match="too long"):
        join_packed([pack(b"x")] * 2, b"x" * 65_536)
