"""What assistants may call (Model Context Protocol); it needs the extra `mcp`."""

from importlib.util import find_spec


def is_installed() -> bool:
    """Return whether the extra is installed."""
    return find_spec("mcp") is not None
