"""Everything that can happen to a run, done to a real one: each becomes a record with a reason, and
later runs go on.
"""

import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from harness.spec import config
from tests.e2e.conftest import ROOT, workers

WHOLE = config.load(ROOT / "backends.toml")
SPECS, KNOWN = ", ".join(WHOLE.specs), ", ".join(WHOLE.backends)
ARMS = ", ".join(dict.fromkeys(arm for backend in WHOLE.backends.values() for arm in backend.arms))
ONE = ("--dataset", "digits", "--epochs", "1")


@pytest.fixture
def small(project):
    """A project with a small network: of what happens to a worker, whichever arm it trains."""
    file = project.root / "backends.toml"
    file.write_text(file.read_text().replace("units = 512", "units = 64"))
    return project


def read_until(process, pattern):
    """Read a harness's output until a line holds the pattern; return that line."""
    for line in process.stdout:
        if re.search(pattern, line):
            return line
    raise AssertionError(f"ended without printing {pattern}")


def first_worker(process, limit_s=60.0):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := workers(process):
            return found[0]
        time.sleep(0.02)
    raise AssertionError("no worker was started")


def test_a_missing_environment_is_a_row_and_the_other_backends_still_run(project):
    (project.root / ".nox" / "train-torch").unlink()
    done = project.run("train", "torch", "jax", *ONE)
    assert done.returncode == 1
    torch, jax = project.records()
    assert (torch["status"], torch["reason"]) == (
        "failed",
        "environment missing. Run: harness setup torch",
    )
    assert jax["status"] == "ok"
    assert "environment missing. Run: harness setup torch" in project.run("compare").stdout


def test_a_broken_environment_says_how_to_build_it_anew(project):
    project.wrap("train-jax", 'exec "$REAL" -c "import a_package_that_is_not_there"')
    assert project.run("train", "jax", *ONE).returncode == 1
    (record,) = project.records()
    assert record["reason"] == (
        "environment broken (ModuleNotFoundError: No module named "
        "'a_package_that_is_not_there'). "
        "Build it anew: harness setup jax --anew"
    )
    assert "Traceback" in record["log_tail"]
    done = project.run("doctor")
    assert done.returncode == 1
    assert "harness setup jax --anew" in done.stdout


def test_a_python_that_is_no_program_says_so(project):
    project.wrap("train-jax", "")
    (project.root / ".nox" / "train-jax" / "bin" / "python").write_bytes(b"\x7fELF rubbish")
    assert project.run("train", "jax", *ONE).returncode == 1
    assert re.match(
        r"environment broken \(its Python does not start \(.+\)\)\. Build it "
        r"anew: harness setup jax --anew$",
        project.records()[0]["reason"],
    )


def test_a_killed_worker_is_a_failed_record_and_the_next_seed_still_runs(small):
    with small.start(
        "train",
        "numpy/naive",
        "--dataset",
        "digits",
        "--epochs",
        "10",
        "--seed",
        "0",
        "--seed",
        "1",
    ) as harness:
        read_until(harness, "epoch 1/10")
        workers(harness)[0].kill()
        harness.stdout.read()
    assert harness.returncode == 1
    killed, fine = small.records()
    assert re.match(
        r"killed by SIGKILL, from outside or by a system out of memory; last heard of: "
        r"after epoch \d+ of 10$",
        killed["reason"],
    )
    assert (fine["status"], fine["request"]["seed"]) == ("ok", 1)


def test_a_worker_that_hangs_is_ended_at_its_time_limit(small):
    with small.start("train", "numpy/naive", *ONE, "--time-limit", "4") as harness:
        first_worker(harness).suspend()
        harness.stdout.read()
    assert harness.returncode == 1
    (record,) = small.records()
    assert record["reason"].startswith("no result within its time limit of 4 s; last heard of: ")
    assert 4 <= record["total_s"] < 60


def test_a_worker_out_of_memory_says_so(project):
    # Whatever torch's build takes at import, it gets 112 MiB more: Keras takes up to 64 at import,
    # and the samples of one epoch are 188 MB.
    limited = (
        "import re, resource, runpy, sys, torch; "
        "size = int(re.search(r'VmSize:\\s+(\\d+)', "
        "open('/proc/self/status').read())[1]) * 1024 + (112 << 20); "
        "resource.setrlimit(resource.RLIMIT_AS, (size, size)); "
        "sys.argv[1:] = sys.argv[3:]; "
        "runpy.run_module('harness.worker', run_name='__main__', alter_sys=True)"
    )
    project.wrap("train-torch", f'exec "$REAL" -c "{limited}" "$@"')
    assert project.run("train", "torch", *ONE).returncode == 1
    (record,) = project.records()
    assert record["reason"].startswith("out of memory; last heard of: "), (
        record["reason"] + record["log_tail"]
    )


def test_rubbish_on_stdout_harms_nothing(small):
    small.wrap(
        "train-numpy",
        'echo \'{"epoch": "rubbish"\'\nhead -c 100000 /dev/urandom\nexec "$REAL" "$@"',
    )
    assert small.run("train", "numpy/naive", *ONE).returncode == 0
    assert small.records()[0]["status"] == "ok"


def test_exit_status_0_without_a_result_is_a_failure(project):
    project.wrap("train-jax", "echo all is well\nexit 0")
    assert project.run("train", "jax", *ONE).returncode == 1
    (record,) = project.records()
    assert (
        record["reason"]
        == "ended without a result, exit status 0; last heard of: starting; all is well"
    )


def test_a_loss_that_becomes_nan_is_recorded_as_diverged_and_not_as_a_number(project):
    file = project.root / "backends.toml"
    file.write_text(
        file.read_text().replace('{ name = "rmsprop" }', '{ name = "sgd", learning_rate = 1e30 }')
    )
    done = project.run("train", "jax", *ONE)
    assert done.returncode == 1
    (record,) = project.records()
    assert (record["status"], record["reason"]) == (
        "diverged",
        "diverged: the loss became nan in epoch 1 of 1",
    )
    assert (
        record["measured"]["test_accuracy"],
        record["measured"]["test_loss"],
        record["measured"]["epochs"],
    ) == (None, None, [])
    assert "nan" not in (project.results / "results.csv").read_text().replace("became nan", "")


def test_a_gpu_that_is_not_there_is_an_error_and_never_a_silent_cpu_run(project):
    done = project.run("train", "jax", *ONE, "--device", "gpu", CUDA_VISIBLE_DEVICES="-1")
    assert done.returncode == 1
    (record,) = project.records()
    assert (
        record["reason"]
        == "device gpu: jax computes on cpu. `harness doctor` says why; --device cpu runs there"
    )
    assert record["measured"] is None


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_children_and_keeps_what_is_finished(small, sent):
    with small.start("train", "numpy/naive", *ONE, "--seed", "0", "--seed", "1") as harness:
        read_until(harness, "test accuracy")
        worker = first_worker(harness)
        harness.send_signal(sent)
        said = harness.stdout.read()
    assert harness.returncode == 130
    assert "Traceback" not in said
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    (kept,) = small.records()
    assert (kept["status"], kept["request"]["seed"]) == ("ok", 0)
    assert len((small.results / "results.csv").read_text().splitlines()) == 2


def test_a_harness_killed_in_the_middle_leaves_no_torn_record_and_no_worker(small):
    with small.start(
        "train", "numpy/naive", "--dataset", "digits", "--epochs", "50", "--seed", "0"
    ) as harness:
        read_until(harness, "epoch 1/50")
        worker = workers(harness)[0]
        worker.suspend()  # it cannot end by itself
        harness.kill()
    worker.wait(timeout=10)
    assert small.records() == []
    assert small.run("train", "numpy/naive", *ONE).returncode == 0
    assert len(small.records()) == 1


def test_a_worker_leaves_no_file_in_the_folder_for_temporary_files(project, tmp_path):
    (temporary := tmp_path / "temporary").mkdir()
    asked = ("train", "tensorflow", "torch", "--arm", "compiled", *ONE)
    done = project.run(*asked, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(temporary.rglob("*")) == []


def test_two_harnesses_at_once_on_one_results_folder_keep_every_record(small):
    with (
        small.start("train", "numpy/naive", *ONE, "--seed", "0") as one,
        small.start("train", "numpy/naive", *ONE, "--seed", "1") as two,
    ):
        said = one.stdout.read() + two.stdout.read()
    assert (one.returncode, two.returncode) == (0, 0), said
    assert {record["request"]["seed"] for record in small.records()} == {0, 1}
    assert len((small.results / "results.csv").read_text().splitlines()) == 3


def test_more_threads_than_cores_are_refused_and_not_filed_under_a_number_that_was_not_kept(
    small,
):
    assert small.run("train", "numpy/naive", *ONE, "--threads", "1024").returncode == 1
    assert re.match(
        r"threads 1024: expected at most \d+, the cores that this process may use$",
        small.records()[0]["reason"],
    )


def test_results_that_cannot_be_written_are_refused_before_a_run_starts(project):
    project.results.write_text("a file where the folder should be")
    done = project.run("train", "jax", *ONE)
    assert done.returncode == 2
    assert "results cannot be written there" in done.stderr
    assert "Name another folder: --results FOLDER" in done.stderr
    assert "Traceback" not in done.stderr
    assert "epoch" not in done.stdout


def test_a_record_is_kept_elsewhere_when_the_results_folder_goes_away_during_the_run(small):
    with small.start("train", "numpy/naive", *ONE) as harness:
        first_worker(harness)
        (small.results / "runs").rmdir()
        (small.results / "runs").write_text("in the way")
        said = harness.stdout.read()
    kept = re.search(r"the record is kept in (\S+\.jsonl)", said)
    assert kept, said
    assert Path(kept[1]).stat().st_size > 1000
    assert re.search(r"numpy/naive +\d.+ 1 ok", said), "the table holds the run all the same"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("jaxx",),
            f"arms: expected one of {KNOWN}, {ARMS}; received 'jaxx'. Did you mean 'jax'?",
        ),
        (
            ("--spec", "mnist-mpl"),
            f"--spec: expected one of {SPECS}; received 'mnist-mpl'. Did you mean 'mnist-mlp'?",
        ),
        (
            ("--arm", "kera"),
            f"--arm: expected one of {ARMS}; received 'kera'. Did you mean 'keras'?",
        ),
        (("--epochs", "0"), "--epochs: expected greater than 0; received 0"),
        (
            ("--threads", "many"),
            "--threads: expected 'auto' or a number of cores from 1 to 1024; received 'many'",
        ),
        (
            ("--config", "nowhere.toml"),
            "nowhere.toml: cannot be read (No such file or directory). "
            "Name another file: --config FILE",
        ),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_exit_2(project, arguments, sentence):
    done = project.ask("train", *arguments, "--dataset", "digits")
    assert (done.returncode, done.stderr.strip()) == (2, sentence)
    assert project.records() == []


def test_a_wrong_key_in_backends_toml_is_one_sentence_and_exit_2(project):
    file = project.root / "backends.toml"
    file.write_text(file.read_text().replace('"relu"', '"rleu"', 1))
    done = project.ask("train")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "backends.toml: [specs.mnist-mlp] layers[0].activation: "
        "expected one of linear, relu, softmax; received 'rleu'. Did you mean 'relu'?"
    )


def test_a_dataset_file_with_other_content_stops_everything_before_a_run(project, tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"PK\x03\x04 cut short")
    for name in ("auto", "mnist"):
        done = project.run("train", "jax", "--dataset", name, HARNESS_DATA_DIR=str(tmp_path))
        assert done.returncode == 2
        assert done.stderr.startswith(
            f"{tmp_path}/mnist.npz: expected a whole .npz of plain arrays; received a "
            "file that cannot be read"
        )
        assert "Traceback" not in done.stderr
    assert project.records() == []


def test_compare_without_any_record_says_what_to_type(project):
    done = project.ask("compare")
    assert done.returncode == 2
    assert (
        done.stderr.strip()
        == f"{project.results}: no record to compare. Run: nox, or harness train"
    )


def test_the_version_is_that_of_the_package(project):
    assert re.match(r"harness \d+\.\d+\.\d+$", project.run("--version").stdout)
