"""The page for teachers: one training step four ways, in code taken from the files that run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FRAMEWORKS = {"numpy": "NumPy", "tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
WORKER = Path(__file__).parents[1] / "worker"
ARGUMENTS = re.compile(r'\n\n +(Args|Raises):\n.*?\n +"""', re.DOTALL)  # to a docstring's end
PAGE = WORKER / "arms" / "naive" / "README.md"
INTRODUCTION = """\
# One training step, four ways

The network of the textbook, `Dense(512, relu)` and `Dense(10, softmax)`, from scratch on NumPy,
TensorFlow, JAX and PyTorch: the same names and the same numbers. Below each Keras line stands what
it does, four times; what differs between the four is the framework. JAX has no variables, so
weights and random keys are arguments there. NumPy has no gradients, so each function has a backward
pass beside it. On TensorFlow, loss and mean can be exchanged for those of keras.ops.

All code is taken from the files in this folder; only the lists of arguments in its docstrings are
left out. `nox -s train-numpy` (and `train-tf`, `train-jax`, `train-torch`, with `-- --arm naive`)
run it on the whole of MNIST, and tests compare it with a float64 referee. To make this page again:
`nox -s run -- textbook page --output harness/worker/arms/naive/README.md`.

Shapes of a batch of B samples (128, and 96 in the last of an epoch's 469 batches):

| what | shape | parameters |
|---|---|---:|
| images | (B, 784) | |
| hidden W, b | (784, 512), (512,) | 401,920 |
| hidden outputs | (B, 512) | |
| output W, b | (512, 10), (10,) | 5,130 |
| outputs: probabilities, or logits | (B, 10) | |
| labels, and losses of the samples | (B,) | |
| mean loss | () | |
| gradients | as the weights | |
"""
SECTIONS = (
    (
        "A layer",
        'keras.layers.Dense(512, activation="relu")',
        ("relu", "relu_backward", "softmax", "softmax_backward", "NaiveDense"),
        "",
    ),
    (
        "A model",
        "keras.Sequential([...])",
        ("NaiveSequential",),
        "JAX's weights are arguments, not variables. NumPy needs the backward pass written out.",
    ),
    (
        "A loss",
        'model.compile(loss="sparse_categorical_crossentropy")',
        ("cross_entropy", "cross_entropy_backward"),
        "Keras clips probabilities on JAX and PyTorch as here; on TensorFlow it goes back to the "
        "logits.",
    ),
    (
        "One training step",
        "model.train_on_batch(images, labels)",
        ("one_training_step", "compiled_step"),
        "Forward, loss, gradients, update. The four differ in the gradients: a backward pass by "
        "hand, a tape, a function transformed, a graph that the outputs remember.",
    ),
    (
        "An update",
        'model.compile(optimizer="rmsprop")',
        ("update_weights",),
        "The equations are these, for all four:",
    ),
)


def render() -> str:
    """Return the page as Markdown."""
    parts = [INTRODUCTION]
    for title, keras, names, remark in SECTIONS:
        parts += [f"## {title}", f"Keras: `{keras}`"] + ([remark] if remark else [])
        if title == "An update":
            parts.append(
                _block(_sources(WORKER / "optimizers.py", ("sgd", "momentum", "rmsprop", "adam")))
            )
        for stem, framework in FRAMEWORKS.items():
            parts += [
                f"**{framework}**",
                _block(_sources(WORKER / "arms" / "naive" / f"{stem}.py", names)),
            ]
    parts += ["## The loop", "Keras: `model.fit(images, labels, epochs=5, batch_size=128)`"]
    parts += [
        "The same in all four, except the line that counts the right answers; this is NumPy's."
    ]
    batches = _sources(WORKER / "arms" / "naive" / "batches.py", ("BatchGenerator",))
    parts.append(_block([*batches, *_sources(WORKER / "arms" / "naive" / "numpy.py", ("fit",))]))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _sources(file: Path, names: tuple[str, ...]) -> list[str]:
    """Return the source of a file's functions and classes, in the order of their names.

    Decorators are included; the lists of arguments in docstrings are left out.
    """
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return [ARGUMENTS.sub('"""', found[name]) for name in names if name in found]


def _block(sources: list[str]) -> str:
    return "```python\n" + "\n\n\n".join(sources) + "\n```"
