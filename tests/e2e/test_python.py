"""The verbs as functions of Python, in a process of the user's own, with real backends."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json
from harness import bench, parity, train
from harness.errors import HarnessError

run = train("digits_cnn.py", "jax/keras", epochs=1)
check = parity("digits_cnn.py", "jax", "torch", quick=True)
session = bench("digits_cnn.py", "jax/keras", "jax/lean", generations=1, blocks=1, no_parity=True)
try:
    train("digits_cnn.py:no_such", "jax")
    refused = ""
except HarnessError as error:
    refused = str(error)
answers = [run, check, session]
print(json.dumps({
    "codes": [each.exit_code for each in answers],
    "tables": [each._repr_html_().count("<table>") for each in answers],
    "status": [each.status for each in run.record],
    "verdict": check.record.verdict,
    "blocks": [(each.generation, each.block) for each in session.record.blocks],
    "refused": refused,
}))
"""


@pytest.mark.long
def test_a_script_trains_checks_and_times_and_goes_on_with_what_was_found(folder):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder.root,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["codes"] == [0, 0, 3], "one generation decides nothing"
    assert found["tables"] == [1, 1, 1]
    assert found["status"] == ["ok"]
    assert found["verdict"] == "agrees"
    assert {*map(tuple, found["blocks"])} == {(1, 1)}, "a disturbed one is measured again"
    assert "no_such" in found["refused"]
