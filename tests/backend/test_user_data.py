"""What is said of data that no backend could train on: one process, in one environment."""

import json
import subprocess

import pytest

from harness.engine import launch
from tests.backend.conftest import CONFIG, ROOT

UNUSABLE = {
    "other_lengths": "expected as many samples in each array; received x[left] 8, x[right] 7, y 8",
    "rows_of_other_lengths": "x: expected an array of numbers; received dtype object. Are its rows",
    "not_a_number": "y: expected finite numbers; received nan at [5, 2], 1 of 24 in all. Leave",
    "infinite": "sample_weight: expected finite numbers; received inf at [3], 1 of 8 in all",
    "endless": "a third of what is free: 16 would fit. Read fewer: limit_batches = 16",
    "endless_and_slow": "Has it an end? Read fewer: limit_batches = ",
    "large": "x: 32 batches take 7.6 MiB, and there is room for 0.0 MiB, a third of what is free: ",
    "text": "x: expected numbers; received text (dtype <U1). Turn it into numbers first",
    "python_lists": "x[0]: expected an array; received a list of 2 of type float. Make it an array",
    "empty": "x: expected at least one sample; received shape (0, 3)",
    "no_batches": "x: expected at least one batch; received none",
    "no_labels": "expected (x, y); received x alone. A model that takes no labels is given (x,)",
    "batches_without_labels": "x: batch 1: expected (x, y); received x alone",
    "nothing": "a pipeline, or a dict of fit's arguments; received NoneType",
    "four": "received a tuple of 4",
    "other_name": "unknown key: expected one of x, y, sample_weight, class_weight, batch_size, ",
    "steps": "received 'steps_per_epoch'. The spec says all else",
    "weights_alone": "y: expected it beside sample_weight",
    "two_pipelines": "y: expected none beside a generator, as fit has it. For validation return ",
    "ragged": "x: batch 2: x: expected samples of shape (3,), as in the first batch; received (2,)",
    "other_dtype": "x: batch 2: y: expected int32, as in the first batch; received float32",
    "samples_for_batches": "x: batch 1: y: expected an axis of samples; received one number",
    "raises_later": "x: raised ValueError: the third file is damaged (unusable.py:",
    "callback": "`fit` of its own; received EarlyStopping",
    "both_weights": "class_weight: expected it or sample_weight, not both",
    "weights_of_two": "class_weight: expected labels in one array beside it",
    "all_for_validation": "validation_split: 0.99 cuts 8 samples into none and all",
    "half_a_batch": "batch_size: expected a whole number from 1 on; received 0.5",
    "bracket": "x: expected printable text without brackets as a name; received 'a[0]'",
    "complex_numbers": "x: expected an array of numbers; received dtype complex64",
    "sparse": "x: expected a dense array; received BCOO. Make it dense, or pad it",
    "ends": "ends raised SystemExit: goodbye (unusable.py:",
    "missing": "expected a function 'missing' in that file; received NoneType",
}


@pytest.fixture(scope="module")
def said():
    backend = CONFIG.backends["jax"]
    python = launch.interpreter_of("jax", backend, ROOT).path
    command = [str(python), "-m", "tests.backend.unusable"]
    variables = launch.worker_variables(backend, "cpu", "auto")
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_no_backend_could_train_on_is_one_sentence_with_place_and_hint(name, said):
    assert UNUSABLE[name] in said[name]
    assert "\n" not in said[name]


def test_every_case_is_looked_at(said):
    assert said.keys() == UNUSABLE.keys()
