"""`harness parity FILE` names a defect that is planted on one backend: three of them.

`nox -s referee -- defects` does it with all.
"""

import pytest

from tests.zoo import found


@pytest.mark.long
@pytest.mark.parametrize("name", ["bn_epsilon", "adam_epsilon", "kernel_6"])
def test_the_command_names_a_defect_at_its_layer_and_quantity(name, tmp_path, monkeypatch):
    monkeypatch.setattr(found, "KEPT", tmp_path)
    _, size, _, wrong = found.look(name, found.check(name))
    assert wrong == []
    assert size > 0
