"""The release of Paperboy that runs."""

from importlib.metadata import PackageNotFoundError, version

# On the package index `paperboy` is another project.
DISTRIBUTION = "paperboy-digest"


def release(distribution: str = DISTRIBUTION) -> str:
    """Return the installed version; "dev" where the code runs from a checkout that is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "dev"
