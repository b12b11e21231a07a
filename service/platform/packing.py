"""Deflate short texts that are much alike, each with what all of them have in common; short numbers."""

import zlib
from collections.abc import Iterator, Sequence

_WINDOW, _LEVEL, _MEMORY = 11, 6, 4


class Packer:
    """Packs by a dictionary of at most 2 kB, the most frequent last (RFC 1950 §2.2).

    What was packed with one dictionary is read with the same one only, and zlib refuses another unless
    `is_proved`: a change of a dictionary needs the former one beside it.
    """

    def __init__(self, dictionary: bytes, *, is_proved: bool = False) -> None:
        """With `is_proved` the texts have a proof of their own, and none of zlib's ten bytes."""
        self._dictionary = dictionary
        self._window = -_WINDOW if is_proved else _WINDOW
        # Copied for each text, because reading the dictionary takes longer than a text.
        self._begun = zlib.compressobj(
            _LEVEL, zlib.DEFLATED, self._window, _MEMORY, zdict=dictionary
        )

    def pack(self, octets: bytes) -> bytes:
        packer = self._begun.copy()
        return packer.compress(octets) + packer.flush()

    def unpack(self, packed: bytes) -> bytes:
        """Return what was packed. Raises `ValueError` for what is cut off or was never packed."""
        unpacker = zlib.decompressobj(self._window, zdict=self._dictionary)
        try:
            octets = unpacker.decompress(packed)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if not unpacker.eof:
            raise ValueError("the packed text is cut off")
        return octets


def add_number(octets: bytearray, number: int) -> None:
    """Append a number that is not negative as LEB128: seven bits an octet, the lowest first."""
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)


def pack_numbers(numbers: Sequence[int]) -> bytes:
    """Return numbers as LEB128, after how many there are; nothing for none."""
    octets = bytearray()
    if numbers:
        for number in (len(numbers), *numbers):
            add_number(octets, number)
    return bytes(octets)


def read_number(octets: Iterator[int]) -> int:
    """Return the next number. Raises `ValueError` where it is cut off."""
    number = shift = 0
    for octet in octets:
        number |= (octet & 0x7F) << shift
        if octet < 0x80:
            return number
        shift += 7
    raise ValueError("the packed number is cut off")
