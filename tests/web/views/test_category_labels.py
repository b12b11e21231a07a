"""Categories by their short names, or their codes."""

from service.web.views.category_labels import field_name


def test_a_long_category_without_a_short_name_stays_its_code() -> None:
    assert field_name("cs.CL") == "Language"
    assert field_name("math.AG") == "Algebraic Geometry"
    assert field_name("cs.CE") == "cs.CE"
