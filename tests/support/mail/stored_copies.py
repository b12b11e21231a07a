"""A copy of a mail as a database would store it."""

from service.messages.mime.archive_copy import ArchivedMail, write_recipe


def store_parts(copy: ArchivedMail) -> tuple[bytes, dict[int, bytes]]:
    """Return a copy's recipe, and its shared fragments by number, as a database has them."""
    shared = {one.key: one.plain for one, _ in copy.part.fragments if one.key}
    numbers = {key: number for number, key in enumerate(shared, 1_000)}
    return write_recipe(copy, numbers), {numbers[key]: body for key, body in shared.items()}
