"""Epoch times of models of the user's own, as live workers that take turns in one session.

`python -m tests.benchmarks.own_models same BACKEND`: the package's mnist-mlp against the same model
as my_model.py, arm by arm: what does generality cost? The upper end of each interval is to be at
most 1.03. `python -m tests.benchmarks.own_models arms BACKEND [MODEL...]`: each arm's epoch to
`fit`'s for models of the zoo, and which arm is the best one: never one that is slower than `fit`.

A generation is a fresh set of processes and gives one number a pair: the median over its blocks of
ln(one / other), the order of turns drawn anew for each block. Over the generations: the
Hodges-Lehmann estimate and the exact Wilcoxon signed-rank interval, which needs 6.
"""

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from harness.engine import own_model
from harness.engine.arms import declared_arms, select_arms
from harness.engine.exclusive import hold_machine
from harness.engine.executor import make_executor
from harness.engine.own_data import own_data_folder
from harness.engine.plan import plan
from harness.job.answers import Turned
from harness.job.asked import Live
from harness.spec import config
from harness.spec.data import mnist
from harness.spec.model import own_model as of_user
from harness.spec.project import choose_spec
from harness.statistics.intervals import hodges_lehmann
from tests.benchmarks.turns import ROOT, harness_worker
from tests.zoo.verbs import ARMS, write_models

CONFIG = ROOT / "backends.toml"
LIMIT_HIGH = 1.03
# Whether glibc keeps what an update frees depends on what a process has freed before, and is a
# quarter of an eager loop's time on PyTorch. `same` compares code, so all its processes keep it.
KEPT = {"MALLOC_MMAP_THRESHOLD_": f"{2**25}", "MALLOC_TRIM_THRESHOLD_": f"{2**26}"}
AIMS = {  # of the best arm's epoch to fit's
    "dense_adam": {"jax": 0.80, "tensorflow": 0.40, "torch": 0.40},
    "embedding_lstm": {"jax": 0.75, "tensorflow": 0.30, "torch": 0.60},
    "attention": {"jax": 0.75, "tensorflow": 0.30, "torch": 0.30},
    "cnn_bn": {"jax": 0.90, "tensorflow": 0.65, "torch": 0.50},
}
N_SAMPLES = 4096  # of a model of the zoo: 256 updates of 16
MLP = """\
import keras
import numpy as np


def build():
    layers = [
        keras.Input((784,)),
        keras.layers.Dense(512, "relu", name="hidden"),
        keras.layers.Dense(10, "softmax", name="output"),
    ]
    model = keras.Sequential(layers)
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data():
    x, y = np.load({x!r}), np.load({y!r})
    return {{"x": x.reshape(len(x), -1).astype("float32") / 255, "y": y, "batch_size": 128}}
"""


def keeping(whole):
    """Return a configuration in whose processes glibc keeps freed memory."""
    backends = {
        name: each.model_copy(update={"variables": each.variables | KEPT})
        for name, each in whole.backends.items()
    }
    return whole.model_copy(update={"backends": backends})


@contextmanager
def prepared(file, backend, whole):
    """Give the configuration and the model of a file, its data made and its weights drawn."""
    whole, name = choose_spec(ROOT, whole, str(file))
    executor = make_executor(ROOT, whole.backends)
    where = own_model.Workshop(executor, (backend,), whole.protocol.time_limit_s)
    spec = of_user(whole.specs[name])
    with own_data_folder() as folder:
        spec, model, _ = own_model.make_data(spec, ROOT, where, folder)
        model = own_model.draw_weights(model, where, (0,))
        yield whole.model_copy(update={"specs": {name: spec}}), name, model, executor


@contextmanager
def own_worker(backend, arm, made):
    """Give the turns of a live worker with an arm of such a model."""
    whole, name, model, executor = made
    protocol = config.override_protocol(whole.protocol, seeds=(0,))
    arms = select_arms(declared_arms(whole), [f"{backend}/{arm}"])
    (planned,) = plan(whole.model_copy(update={"protocol": protocol}), name, arms, model)
    with executor.hold(Live(**planned.training()), {}) as alive:
        yield lambda n: [alive.ask(Turned).seconds for _ in range(n)]
        alive.close()


def start(workers, stack):
    """Return the turns of all workers by name; two start at a time, since no start is measured.

    The threads stay as long as the workers: each of these ends with the thread that started it.
    """
    pool = stack.enter_context(ThreadPoolExecutor(2))
    opened = pool.map(lambda open_: stack.enter_context(open_()), workers.values())
    return dict(zip(workers, opened, strict=True))


def measure(workers, given):
    """Return the medians of ln(seconds) differences to the first, by name, of each generation."""
    found = []
    for number in range(given.generations):
        random = np.random.default_rng(number)
        with hold_machine("own models", print), ExitStack() as stack:
            turns = start(workers, stack)
            logs = {name: [] for name in turns}
            for _ in range(given.blocks):
                for name in map(str, random.permutation([*turns])):
                    logs[name].append(np.log(np.mean(turns[name](given.epochs))))
        found.append({name: np.array(each) for name, each in logs.items()})
        seconds = ", ".join(f"{name} {np.exp(np.median(logs[name])):.4f} s" for name in logs)
        print(f"generation {number + 1}/{given.generations}: {seconds}", flush=True)
    return found


def ratio(found, one, other):
    """Return estimate and interval of one arm's epoch to another's."""
    logs = [float(np.median(each[one] - each[other])) for each in found]
    if len(logs) < 6:
        return np.exp(np.median(logs)), float("nan"), float("nan")
    interval = hodges_lehmann(logs)
    return np.exp(interval.mid), np.exp(interval.low), np.exp(interval.high)


def same(given):
    """Compare the package's arms with those of the same model in a file."""
    whole, dataset = keeping(config.load(CONFIG)), mnist.prepare(given.dataset)
    text = MLP.format(**{name: str(dataset.folder / f"{name}_train.npy") for name in "xy"})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "my_model.py")
        file.write_text(text)
        with prepared(file, given.backend, whole) as made:
            workers = {}
            for arm in ("keras", "compiled"):
                workers[f"package {arm}"] = lambda arm=arm: harness_worker(
                    given.backend, arm, whole, dataset
                )
                workers[f"own {arm}"] = lambda arm=arm: own_worker(given.backend, arm, made)
            found = measure(workers, given)
    bad = 0
    for arm in ("keras", "compiled"):
        mid, low, high = ratio(found, f"own {arm}", f"package {arm}")
        bad += not high <= LIMIT_HIGH
        print(f"{given.backend} {arm}: own / package {mid:.3f} ({low:.3f}-{high:.3f})")
    return int(bool(bad))


def arms(given):
    """Compare the arms of models of the zoo with `fit`, and name the best of each."""
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, file in write_models(Path(folder), given.models or AIMS).items():
            file.write_text(file.read_text().replace("(N_SAMPLES)", f"({N_SAMPLES})"))
            with prepared(file, given.backend, config.load(CONFIG)) as made:
                workers = {
                    arm: lambda arm=arm, made=made: own_worker(given.backend, arm, made)
                    for arm in ARMS
                }
                found = measure(workers, given)
            ratios = {arm: ratio(found, arm, "keras") for arm in ARMS[1:]}
            best = min({"keras": (1.0,), **ratios}.items(), key=lambda each: each[1][0])
            aim = AIMS.get(name, {}).get(given.backend, 1.0)
            bad += best[1][0] > aim
            said = (
                f"{arm} {mid:.3f} ({low:.3f}-{high:.3f})"
                for arm, (mid, low, high) in ratios.items()
            )
            print(f"{given.backend} {name}: {', '.join(said)}; best: {best[0]}, aim {aim}")
    return int(bool(bad))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("same", "arms"))
    parser.add_argument("backend")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--dataset", default="auto", help="of `same`; as mnist-12000, its first")
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3, help="of a turn")
    given = parser.parse_args()
    return {"same": same, "arms": arms}[given.what](given)


if __name__ == "__main__":
    sys.exit(main())
