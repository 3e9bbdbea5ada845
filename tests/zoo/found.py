"""What `harness parity FILE` says of each defect that is planted on one backend.

`nox -s referee -- defects` prints the table and writes it to results/reference/defects.md; names
behind it are of defects, and the table is not written then. What a check has left in
results/defects is not computed again.
"""

import json
import subprocess
import sys
from pathlib import Path

import harness

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("planted.py")
TABLE = ROOT / "results" / "reference" / "defects.md"
KEPT = ROOT / "results" / "defects"
DEFECTIVE = "torch"
UNIT = 2.0**-24
LEAST = 1e3  # times its gate, of a defect in float64
LEASTS = {"constant_in_float32": 50.0}  # float32 rounds a constant by 6e-8 at most: 600 gates
CASES = {  # a defect: in words, its batch, and the quantity at which it must be named
    "bn_epsilon": (
        "epsilon of BatchNormalization 0.1 % too large",
        "images",
        "output/normal (BatchNormalization)",
    ),
    "bn_momentum": (
        "momentum of BatchNormalization 0.9901 for 0.99",
        "images",
        "weight/sequential/normal/moving_mean",
    ),
    "ln_epsilon": (
        "epsilon of LayerNormalization 0.1 % too large",
        "images",
        "output/layer_normalization (LayerNormalization)",
    ),
    "gelu_form": ("gelu's tanh form for the exact one", "sequences", "output/dense (Dense)"),
    "adam_epsilon": (
        "Adam's epsilon 1.1e-7 for 1e-7",
        "table",
        "update/sequential/hidden/kernel",
    ),
    "padding": ("padding one pixel off", "images", "output/first (Conv2D)"),
    "kernel_5": ("gelu off by 1e-5, in float32 only", "sequences", "output/dense (Dense)"),
    "kernel_6": ("gelu off by 1e-6, in float32 only", "sequences", "output/dense (Dense)"),
    "wrong_gradient": (
        "a layer whose gradient is 0.1 % too large",
        "images",
        "gradient/sequential/normal/beta",
    ),
    "mask_ignored": (
        "an Embedding that makes no mask",
        "words",
        "output/bidirectional (Bidirectional)",
    ),
    "state_not_updated": (
        "moving statistics that stay",
        "images",
        "weight/sequential/normal/moving_mean",
    ),
    "loss_weight": ("a loss's weight 2.000001 for 2", "two_answers", "loss"),
    "constant_in_float32": (
        "a constant rounded to float32",
        "two_tables",
        "output/activation (Activation)",
    ),
}


def check(name):
    """Return the record of one defect's check, made by the command."""
    file = KEPT / f"{name}.json"
    if not file.is_file():
        KEPT.mkdir(parents=True, exist_ok=True)
        batch = f"{FILE}:{CASES[name][1]}"
        command = [sys.executable, "-m", "harness", "parity", f"{FILE}:{name}", "--batch", batch]
        options = ["--json", str(file), "--results", str(KEPT), "--seed", "0"]
        done = subprocess.run(
            [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1, 3):
            sys.exit(f"{name}: {done.stdout}{done.stderr}")
    return json.loads(file.read_text(encoding="utf-8"))


def look(name, record):
    """Return where the command names a defect, how large it is, and what is wrong with that."""
    verdicts = {each["backend"]: each for each in record["backends"]}
    said = verdicts[DEFECTIVE]["reason"]
    expected = CASES[name][2]
    apart = {backend for backend, each in verdicts.items() if each["verdict"] != "agrees"}
    wrong = [] if apart == {DEFECTIVE} else [f"not on {DEFECTIVE} alone: {sorted(apart)}"]
    if not said.startswith((f"{expected}: ", f"{expected} after ", f"{expected} with ")):
        wrong.append(f"expected {expected}; received {said or 'agreement'}")
    size, gates = size_of(record)
    if not name.startswith("kernel") and gates < LEASTS.get(name, LEAST):
        wrong.append(f"{gates:.1g} times its gate")
    return said.partition(": ")[0], size, gates, wrong


def size_of(record):
    """Return the first departure's relative size, and how many times its gate that is."""
    for each in record["compared"]:
        if DEFECTIVE in each["apart"]:
            return each["exact"][DEFECTIVE], each["exact"][DEFECTIVE] / each["gate"]
        if DEFECTIVE in each["kernel"]:
            others = [error for name, error in each["rounded"].items() if name != DEFECTIVE]
            error = each["rounded"][DEFECTIVE]
            return error, error / max(*others, UNIT) / 5
    return 0.0, 0.0


def main(*names):
    """Check each defect, print the table, and keep it where none is named; exit 1 if one is not
    found.
    """
    lines = [
        "# What `harness parity` names of defects planted in PyTorch's Keras alone",
        "",
        f"harness {harness.__version__}. `nox -s referee -- defects` makes this table: each line",
        "is `harness parity FILE`, and TensorFlow and JAX agree in all of them. Last two columns:",
        "how far PyTorch is off there, and how many times the gate that is.",
        "",
        "| defect | named at | off by | times its gate |",
        "| --- | --- | ---: | ---: |",
    ]
    failed = []
    for name in names or CASES:
        where, size, gates, wrong = look(name, check(name))
        lines.append(f"| {CASES[name][0]} | {where} | {size:.1e} | {gates:.1e} |")
        print(f"{name}: {where}: {size:.1e}, {gates:.1e} x", *wrong, sep="\n  ! ", flush=True)
        failed += [name] if wrong else []
    if not names and not failed:
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if failed:
        sys.exit(f"not named as they should be: {', '.join(failed)}")
