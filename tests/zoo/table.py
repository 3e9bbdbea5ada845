"""What the rows of the zoo say: a table, its refusals in a sentence each, and what falls short. No
framework here: names are read from the source.
"""

import ast
from pathlib import Path

LIMITS = {"jax": 33, "tensorflow": 33, "torch": 30}  # models that are one program, at least
ARMS = ("keras", "lean", "compiled")
GATE = 1e-10


def names():
    """The models' names, in the order of the zoo."""
    return _keys("models.py", "ZOO")


def faults():
    return _keys("faults.py", "FAULTS")


def _keys(file, name):
    tree = ast.parse((Path(__file__).parent / file).read_text())
    values = [node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [
        ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ast.unparse(node.target)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
    ]
    return [key.value for key in values[targets.index(name)].keys]


def cell(row):
    """One word: the difference where it is equal or departs, "refused", or "error"."""
    if row is None or "difference" not in row:
        return "error"
    if row["refused"]:
        return "refused"
    return f"{row['difference']:.0e}" if row["difference"] else "0"


def as_table(rows, backends, models):
    columns = [(backend, arm) for backend in backends for arm in ARMS]
    lines = [f"{'':18}" + "".join(f"{f'{b[:5]} {a[:4]}':>12}" for b, a in columns)]
    for name in models:
        cells = [cell(rows.get((backend, "float64", name, arm))) for backend, arm in columns]
        lines.append(f"{name:18}" + "".join(f"{each:>12}" for each in cells))
    said = [
        f"{backend}: {name}: {row['refused']}; lean trains it"
        for (backend, precision, name, arm), row in rows.items()
        if row.get("refused") and precision == "float64" and arm == "compiled"
    ]
    said += [
        f"{backend}: {name}: {arm}: rounding alone decides {path}"
        for (backend, precision, name, arm), row in rows.items()
        if precision == "float64"
        for path in row.get("undetermined", ())
    ]
    for (backend, precision, name, arm), row in rows.items():
        if precision == "float32" and "difference" in row:
            twin = f", one ulp: {row['twin']:.0e}" if "twin" in row else ""
            said.append(f"{backend}: {name}: {arm}: in float32 {row['difference']:.0e}{twin}")
    return "\n".join([*lines, "", *said])


def failures(rows, backends, models):
    """What falls short of the figures, a line each."""
    found = []
    for (backend, precision, name, arm), row in rows.items():
        where = f"FAILED {backend}: {name}: {arm}"
        if "difference" not in row:
            error = row.get("error", "its process ended").strip().splitlines()[-1]
            found.append(f"{where}: {error}")
        elif precision == "float64" and name in faults():
            if row["difference"] <= GATE:
                found.append(f"{where}: the planted fault is not caught")
        elif precision == "float64" and row["difference"] > GATE:
            found.append(f"{where}: departs from fit: {row['difference']:.1e} at {row['path']}")
    for backend in backends:
        one = [
            name
            for name in models
            if cell(rows.get((backend, "float64", name, "compiled"))) not in ("error", "refused")
        ]
        if len(models) == len(names()) and len(one) < LIMITS[backend]:
            found.append(f"FAILED {backend}: {len(one)} are one program, of {LIMITS[backend]}")
    return found
