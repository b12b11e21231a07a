"""Visitors are counted by address and network; scripts have a lower limit."""

from service.web.core.rate_limits import PER_ADDRESS, PER_NETWORK, PER_SCRIPT, checks_for


def test_ipv4_is_counted_by_address_and_by_network() -> None:
    assert checks_for("192.0.2.77", is_from_form=True) == (
        (PER_ADDRESS, "192.0.2.77"),
        (PER_NETWORK, "192.0.2.0/24"),
    )


def test_ipv6_is_counted_by_64_bits_and_mapped_ipv4_as_ipv4() -> None:
    one = checks_for("2001:db8:1:2:3:4:5:6", is_from_form=True)
    other = checks_for("2001:db8:1:2::1%eth0", is_from_form=True)
    assert one == other == ((PER_ADDRESS, "2001:db8:1:2::/64"),)
    mapped = checks_for("::ffff:192.0.2.77", is_from_form=True)
    assert mapped == checks_for("192.0.2.77", is_from_form=True)


def test_scripts_have_a_tighter_limit_of_their_own() -> None:
    checks = checks_for("192.0.2.77", is_from_form=False)
    assert checks[0] == (PER_SCRIPT, "192.0.2.77")
    assert checks[1:] == checks_for("192.0.2.77", is_from_form=True)


def test_an_unreadable_address_is_counted_as_one_visitor() -> None:
    assert checks_for("", is_from_form=True) == checks_for("socket", is_from_form=True)
