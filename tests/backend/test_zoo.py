"""Arms of any model, on four models of the zoo: all that `nox -s zoo` asks of 35."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.zoo import __main__ as zoo
from tests.zoo.table import LIMITS, failures

QUICK = ["add_loss", "sample_weight", "cosine_momentum", "dropout"]


@pytest.fixture(scope="module")
def proved(tmp_path_factory):
    """Return a function: backend -> the rows of its proofs. Two backends are asked at a time."""

    def prove(backend):
        file = tmp_path_factory.mktemp(backend) / "rows.jsonl"
        zoo.run(backend, "float64", ("lean", "compiled"), QUICK, file)
        return zoo.known(file)

    with ThreadPoolExecutor(2) as pool:
        asked = {backend: pool.submit(prove, backend) for backend in LIMITS}
    return lambda backend: asked[backend].result()


@pytest.mark.parametrize("backend", LIMITS)
def test_an_arm_by_the_model_s_own_train_step_trains_as_fit_does(backend, proved):
    rows = proved(backend)
    assert len(rows) == 2 * len(QUICK)
    assert failures(rows, [], QUICK) == []
    assert not [row["refused"] for row in rows.values() if row["refused"]]
