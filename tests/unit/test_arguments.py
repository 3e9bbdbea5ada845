"""Arguments of a user's function on a command line: read as plain values, held to its signature."""

import ast

import pytest

from harness.errors import ConfigError
from harness.spec.arguments import check_arguments, split_arguments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my_model.py:build", ("my_model.py:build", {})),
        ("my_model.py:build()", ("my_model.py:build", {})),
        ("a (1).py:build(width=256)", ("a (1).py:build", {"width": 256})),
        ("m.py:build(rate=-1e-3, wide=True)", ("m.py:build", {"rate": -1e-3, "wide": True})),
        ("m.py:build(kind='a:b(c)')", ("m.py:build", {"kind": "a:b(c)"})),
        ("mnist-mlp", ("mnist-mlp", {})),
    ],
)
def test_named_plain_values_in_parentheses_are_a_functions_arguments(text, expected):
    assert split_arguments("--spec", text) == expected


@pytest.mark.parametrize(
    ("inner", "said"),
    [
        ("256", "expected each argument once, by its name, as (width=256, kind='wide'); received "),
        ("width=1e999", "width: expected text, a number, True or False; received 'width=1e999'"),
        ("wídth=1", "expected each argument once, by its name"),
        ("**{}", "expected each argument once, by its name"),
        ("width=", "expected each argument once"),
        (")(", "expected each argument once"),
        ("width=1, width=2", "expected each argument once"),
        (
            "width=open('x')",
            'width: expected text, a number, True or False; received "width=open',
        ),
        ("width=[1, 2]", "width: expected text, a number, True or False; received 'width=[1, 2]'"),
        ("width=" + "9" * 2000, "expected at most 1000 characters in the parentheses"),
        ("width=" + "(" * 900, "expected each argument once"),
        ("width=" + "-" * 900 + "1", "m.py:build: "),
    ],
)
def test_what_is_no_plain_value_by_name_is_one_sentence(inner, said):
    with pytest.raises(ConfigError) as caught:
        split_arguments("--spec", f"m.py:build({inner})")
    assert str(caught.value).startswith("--spec: m.py:build: ")
    assert said in str(caught.value)


FILE = ast.parse("""
def build(width, *, depth=2, rate): ...
def build_any(**more): ...
def build_first(width, /): ...
@decorated
def build_other(a): ...
build_made = partial(build, 3)
""").body


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("build", {"width": 1, "rate": 2}),
        ("build_any", {"anything": 1}),
        ("build_other", {"b": 1}),
        ("build_made", {}),
    ],
)
def test_a_function_that_takes_the_arguments_or_cannot_be_known_passes(function, arguments):
    check_arguments("--spec", FILE, function, arguments)


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        ("build", {"widht": 1, "rate": 2}, "expected one of width, depth, rate; received 'widht'."),
        ("build", {"width": 1}, "expected the argument 'rate'. Name a value: build(rate=...)"),
        ("build", {"rate": 1}, "expected the argument 'width'"),
        ("build_first", {"width": 1}, "unknown argument: expected none; received 'width'"),
    ],
)
def test_an_argument_that_is_unknown_or_missing_is_named(function, arguments, said):
    with pytest.raises(ConfigError) as caught:
        check_arguments("--spec", FILE, function, arguments)
    assert said in str(caught.value)
