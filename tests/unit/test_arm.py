"""The identity of an arm: one text for each, and each text one arm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.job.arm import ArmId

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]*", fullmatch=True)
OPTIONS = st.dictionaries(
    NAMES, st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False)
)
ARMS = st.builds(ArmId.of, NAMES, NAMES, NAMES, st.text(min_size=1), OPTIONS)


@given(ARMS)
def test_the_text_of_an_arm_says_all_of_it(arm):
    assert ArmId.parse(str(arm)) == arm
    assert str(ArmId.parse(str(arm))) == str(arm)


def test_the_order_of_options_makes_no_other_arm():
    one = ArmId.of("jax", "", "keras", "keras_fit", {"a": 1, "b": 2})
    assert {one, ArmId.of("jax", "jax", "keras", "keras_fit", {"b": 2, "a": 1})} == {one}
    assert str(one) == 'jax/keras = keras_fit {"a": 1, "b": 2}'


def test_a_backend_of_another_name_than_its_framework_shows_both():
    arm = ArmId.of("jax-next", "jax", "keras", "keras_fit", {})
    assert (arm.name, str(arm)) == ("jax-next/keras", "jax-next[jax]/keras = keras_fit")


@pytest.mark.parametrize("text", ["", "jax/keras", "jax = keras_fit", 'jax/keras = m {"b": 1}x'])
def test_a_text_of_no_arm_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|Expecting|Extra"):
        ArmId.parse(text)
