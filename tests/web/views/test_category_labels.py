"""Short names of categories."""

from service.web.views.category_labels import field_name


def test_a_long_category_without_a_short_name_is_shown_by_its_code() -> None:
    assert field_name("cs.CL") == "Language"
    assert field_name("math.AG") == "Algebraic Geometry"
    assert field_name("cs.CE") == "cs.CE"
