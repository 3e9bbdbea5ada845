"""A backend on a framework that the package does not know, and a second one beside it: new files in
a copy of the package, and two tables of backends.toml. See tests/unit/test_added.py.
"""

import shutil
import sys

import pytest

from tests.e2e.conftest import ROOT, Project

BACKENDS = """
[protocol]
arms = ["naive"]

[bench]
arms = ["naive"]

[specs.small]
layers = [
  { name = "hidden", units = 8, activation = "relu" },
  { name = "output", units = 10, activation = "softmax" },
]
optimizer = { name = "sgd" }
loss_form = "probs"
"""
TABLE = """
[backends.PLACE]
framework = "plain"
python = "PYTHON"
requirements = { cpu = ["numpy"], gpu = ["numpy"] }
accelerators = false
arms = { naive = { module = "naive.plain" } }
"""


@pytest.fixture
def project(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "harness", copy / "harness")
    worker = copy / "harness" / "worker"
    shutil.copy(worker / "frameworks" / "numpy.py", worker / "frameworks" / "plain.py")
    text = (worker / "arms" / "naive" / "numpy.py").read_text()
    old = "from harness.worker.frameworks import numpy as framework"
    assert old in text
    text = text.replace(old, "from harness.worker.frameworks import plain as framework")
    (worker / "arms" / "naive" / "plain.py").write_text(text)
    tables = (TABLE.replace("PLACE", name).replace("PYTHON", sys.executable) for name in "ab")
    (tmp_path / "backends.toml").write_text(BACKENDS + "".join(tables))
    return Project(tmp_path)


def test_a_framework_is_new_files_and_each_backend_of_it_a_table(project):
    size = ("--epochs", "1", "--dataset", "digits", "--threads", "1")
    done = project.run("train", *size, PYTHONPATH=str(project.root / "copy"))
    assert done.returncode == 0, done.stdout + done.stderr
    one, other = project.records()
    assert (one["request"]["backend"], other["request"]["backend"]) == ("a", "b")
    assert {each["request"]["framework"] for each in (one, other)} == {"plain"}
    ends = {each["measured"]["final_weights_sha256"] for each in (one, other)}
    assert len(ends) == 1
    assert one["measured"]["test_accuracy"] > 0.3
