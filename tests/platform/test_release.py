"""The name and the version of what is installed."""

from importlib.metadata import version

from service.platform.release import DISTRIBUTION, release


def test_the_installed_distribution_is_found_under_its_name() -> None:
    assert DISTRIBUTION == "paperboy-digest"
    assert release() == version("paperboy-digest")


def test_a_checkout_that_is_not_installed_still_has_a_name() -> None:
    assert release("no-such-distribution") == "dev"
