"""Train every model of the zoo by every arm on every backend, and hold it to `fit`; plant faults,
which must be caught; then train each by `harness train`. `python -m tests.zoo` prints the tables,
and goes on where it stopped. `--proofs` and `--verbs` do one part, and `--applications` takes
models of keras.applications through the verb.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from harness.engine import launch
from harness.spec import config
from tests.zoo import applications, verbs
from tests.zoo.table import LIMITS, as_table, failures, faults, names

ROOT = Path(__file__).resolve().parents[2]
CONFIG = config.load(ROOT / "backends.toml")
BACKENDS = tuple(LIMITS)
ARMS = ("keras", "lean", "compiled")
KEYS = ("backend", "precision", "model", "arm")
REPEATABLE = {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def known(file):
    """The rows of a file by their keys; a cell that only began has neither figure nor error."""
    lines = file.read_text().splitlines() if file.is_file() else []
    rows = [json.loads(line) for line in lines]
    return {tuple(row[key] for key in KEYS): row for row in rows}


def run(backend, precision, arms, models, file):
    """Prove what is not known yet in one process; one that dies is followed by another."""
    for arm in arms:
        while True:
            done = known(file)
            rest = [name for name in models if (backend, precision, name, arm) not in done]
            if not rest:
                break
            probe(backend, [precision, arm, ",".join(rest)], file)
            begun = {key: row for key, row in known(file).items() if key not in done}
            if not begun:
                sys.exit(f"{backend}: the probe does not start")


def probe(backend, arguments, file):
    """Run the probe in a backend's environment; what it prints goes to the file."""
    chosen = CONFIG.backends[backend]
    variables = launch.worker_variables(chosen, "cpu", "auto") | REPEATABLE
    python = launch.interpreter_of(backend, chosen, ROOT).path
    command = [str(python), "-m", "tests.zoo.probe", *arguments]
    with file.open("a") as rows, (file.parent / f"{backend}.log").open("a") as log:
        subprocess.run(
            command, cwd=ROOT, env=variables, stdout=rows, stderr=log, timeout=7200, check=False
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".zoo", help="of what is known")
    parser.add_argument("--backend", action="append", choices=BACKENDS)
    parser.add_argument("--model", action="append", choices=names(), help="instead of all")
    parser.add_argument("--arm", action="append", choices=ARMS, help="of the verb; instead of all")
    parser.add_argument("--float32", action="store_true", help="also, as information")
    parser.add_argument("--proofs", action="store_true", help="only, in a process for each arm")
    parser.add_argument("--verbs", action="store_true", help="only, by harness train")
    parser.add_argument("--applications", action="store_true", help="only, by harness train")
    several = [*applications.targets(hub=True)]
    parser.add_argument("--application", action="append", choices=several, help="instead of all")
    parser.add_argument("--python", action="append", help="BACKEND=PATH; with KerasHub installed")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    backends, models = given.backend or BACKENDS, given.model or names()
    if given.applications:
        targets = applications.targets(hub=bool(given.python))
        targets = {name: targets[name] for name in given.application or targets}
        return by_verbs(targets, given, backends)
    bad = 0 if given.verbs else prove(given, backends, models)
    if given.proofs:
        return bad
    targets = verbs.write_models(given.folder, models)
    return by_verbs(targets, given, backends) or bad


def by_verbs(targets, given, backends):
    """Train models by the verb, and print what came of it."""
    arms = given.arm or ARMS
    found = verbs.train(targets, given.folder, backends, arms, given.python)
    print(verbs.as_table(found, targets, backends, arms))
    bad = verbs.failures(found, targets, backends, arms)
    for backend in backends if len(targets) == len(names()) and "compiled" in arms else ():
        if (n := verbs.n_programs(found, backend)) < LIMITS[backend]:
            bad.append(f"FAILED {backend}: {n} are one program, of {LIMITS[backend]}")
    print("\n".join(bad))
    return int(bool(bad))


def prove(given, backends, models):
    """Hold each model to `fit` in float64, in one process for each arm, and plant faults."""
    rows = {}
    for backend in backends:
        file = given.folder / f"{backend}.jsonl"
        run(backend, "float64", ARMS, models, file)
        if given.float32:
            run(backend, "float32", ARMS, models, file)
        if not given.model:
            run(backend, "float64", ["lean"], faults(), file)
        rows |= known(file)
    print(as_table(rows, backends, models))
    bad = failures(rows, backends, models)
    print("\n".join(bad))
    return int(bool(bad))


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)
