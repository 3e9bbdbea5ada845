"""Arms of any model, on four models of the zoo: all that `nox -s zoo` asks of 35."""

import pytest

from tests.zoo import __main__ as zoo
from tests.zoo.table import LIMITS, failures

QUICK = ["add_loss", "sample_weight", "cosine_momentum", "dropout"]


@pytest.mark.parametrize("backend", LIMITS)
def test_an_arm_by_the_model_s_own_train_step_trains_as_fit_does(backend, tmp_path):
    file = tmp_path / "rows.jsonl"
    zoo.run(backend, "float64", ("lean", "compiled"), QUICK, file)
    rows = zoo.known(file)
    assert len(rows) == 2 * len(QUICK)
    assert failures(rows, [], QUICK) == []
    assert not [row["refused"] for row in rows.values() if row["refused"]]
