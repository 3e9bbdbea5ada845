"""Several Keras on one framework: which is the first with another answer."""

import pytest

from harness.records.keras_versions import first_apart, rising

NAMES = ("new", "old", "middle")


def of(*keras, framework="1"):
    return [{"keras": each, "framework_version": framework} for each in keras]


def test_backends_rise_by_the_numbers_of_their_keras():
    assert rising(of("3.15.1", "3.9.0", "3.10.0"), NAMES) == ("old", "middle", "new")


@pytest.mark.parametrize(
    "versions",
    [
        of("3.15.1", "3.15.1", "3.14.1"),
        [*of("3.15.1", "3.14.1"), *of("3.13.2", framework="2")],
        [{}, {}, {}],
    ],
)
def test_nothing_rises_where_something_else_differs_or_nothing(versions):
    assert rising(versions, NAMES) == ()


@pytest.mark.parametrize(
    ("apart", "first"),
    [("c", "c"), ("ab", "c"), ("a", "b"), ("bc", "b"), ("b", "b"), ("abc", ""), ("", "")],
)
def test_the_first_that_is_not_as_the_one_before_it_is_named(apart, first):
    assert first_apart("abc", apart) == first


def test_of_two_the_later_one_has_changed():
    assert first_apart("ab", "ab") == first_apart("ab", "a") == "b"
    assert first_apart("ab", "") == ""
