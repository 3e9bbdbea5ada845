"""The house's laws, read from the source with `ast`: milliseconds, and no framework."""

import ast
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from harness.spec.arm_source import file_of, find_faults

ROOT = Path(__file__).resolve().parents[2]
HARNESS = ROOT / "harness"
WORKER = HARNESS / "worker"
FRAMEWORKS = {"keras", "tensorflow", "jax", "torch", "optax"}
FILES = sorted(HARNESS.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
ORCHESTRATOR = [file for file in FILES if WORKER not in file.parents]
FLOORS = (  # a room imports rooms of lower floors only
    "errors",
    "spec statistics",
    "job",
    "records",
    "referee",
    "environments report",
    "engine",
    "experiments lessons",
    "testing cli",
    "pytest_plugin",
    "__main__",
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}
N_ARROWS = 40  # from one room to another; only gets smaller
KNOWS = {
    "gate": {"bench"},
    "sweep": {"bench"},
    "proof": {"parity"},
}  # an experiment, and those that it builds on
DOORS = [file for file in (HARNESS / "cli").glob("*.py") if "options" not in file.name]
PLAIN = ("statistics", "referee")  # rooms of arrays and values
WORKER_MAY = {
    "harness.errors",
    "harness.job",
    "harness.spec.arm_source",
    "harness.spec.data.arrays",
    "harness.spec.data.own",
    "harness.spec.data.own_folder",
    "harness.spec.initializers",
    "harness.spec.targets",
    "harness.worker",
    "numpy",
}
DECISIONS = (
    ast.If,
    ast.For,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.Assert,
    ast.match_case,
)
TRAIN_STEP = {name: ["model", "data", "batch_size"] for name in ("lean", "compiled")}
COMPANIONS = {"jax": {"optax"}}
FRAMEWORK_FOLDERS = (  # a file of each framework's in them
    *("frameworks", "compiled", "epochs", "naive", "native", "gradients", "float64", "train_step"),
    "replicas",
    "ranks",
    "backward",
)
NAIVE = {  # besides the verbs, in every file of naive/: a reader lays them side by side
    "cross_entropy": ["labels", "outputs", "loss_form"],
    "update_weights": ["gradients", "weights", "optimizer"],
    "one_training_step": ["model", "optimizer", "images", "labels", "loss_form"],
    "fit": [
        "model",
        "optimizer",
        "images",
        "labels",
        "epochs",
        "batch_size",
        "loss_form",
        "report",
    ],
}
FRAMEWORK = {
    "version": [],
    "devices": [],
    "cuda": [],
    "settings": [],
    "fit_input": ["array"],
    "generator": ["seed"],
    "device_of": ["tensor"],
    "wait": ["tensors"],
    "watch_compiles": ["model"],
    "read": ["tensor"],
    "product": ["a", "b", "form"],
    "addition": ["n"],
    "smallest_call": [],
    "memory": [],
}


@cache
def tree(file):
    return ast.parse(file.read_text())


def imported(file):
    """Names of the modules that a file imports when it runs; an `if TYPE_CHECKING:` block does not
    run.
    """
    whole = tree(file)
    idle = {
        child
        for node in ast.walk(whole)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for part in node.body
        for child in ast.walk(part)
    }
    for node in ast.walk(whole):
        if node in idle:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def signatures(file):
    """Public functions of a module: their arguments by name."""
    return {
        node.name: [
            argument.arg
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        ]
        for node in tree(file).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


def arms():
    backends = tomllib.loads((ROOT / "backends.toml").read_text())["backends"]
    return sorted(
        {arm["module"] for backend in backends.values() for arm in backend["arms"].values()}
    )


def name_of(file):
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", ORCHESTRATOR, ids=name_of)
def test_the_orchestrator_imports_no_framework_and_no_worker(file):
    names = list(imported(file))
    assert not {name.partition(".")[0] for name in names} & FRAMEWORKS
    assert not [name for name in names if name.startswith("harness.worker")]


def room_of(file):
    return file.relative_to(HARNESS).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", ORCHESTRATOR, ids=name_of)
def test_imports_run_downwards_through_the_rooms(file):
    room = room_of(file)
    for name in imported(file):
        if name.startswith("harness.") and (other := name.split(".")[1]) != room:
            assert FLOOR[other] < FLOOR[room], f"{room} imports {name}"


def test_no_more_rooms_know_each_other_than_did():
    arrows = {
        (room_of(file), node.module.split(".")[1])
        for file in FILES
        if not room_of(file).startswith("__")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness.")
    }
    between = {(room, other) for room, other in arrows if room != other}
    assert len(between) <= N_ARROWS, sorted(between)


@pytest.mark.parametrize("file", sorted((HARNESS / "experiments").rglob("*.py")), ids=name_of)
def test_experiments_do_not_know_each_other(file):
    own = file.relative_to(HARNESS / "experiments").parts[0]
    for name in imported(file):
        if name.startswith("harness.experiments."):
            assert name.split(".")[2] in {own, *KNOWS.get(own, ())}, name


@pytest.mark.parametrize("file", ORCHESTRATOR, ids=name_of)
def test_only_the_engine_starts_workers_and_only_these_others_start_a_process(file):
    starts = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    } & {"subprocess.Popen", "subprocess.run", "os.fork", "os.system", "os.posix_spawn"}
    others = {
        "records/revision.py": "git",
        "job/accelerators.py": "what the system knows of its processors",
        "job/machine.py": "which machine this is, on macOS",
        "environments/content.py": "which folders it imports from",
        "environments/installers.py": "uv, venv and pip",
        "environments/installed.py": "what an environment holds",
    }
    if room_of(file) != "engine" and str(file.relative_to(HARNESS)) not in others:
        assert not starts


@pytest.mark.parametrize(
    "file", [file for file in ORCHESTRATOR if room_of(file) in PLAIN], ids=name_of
)
def test_statistics_and_referee_import_numpy_and_scipy_only(file):
    for name in imported(file):
        top = name.partition(".")[0]
        assert top in sys.stdlib_module_names | {"harness", "numpy", "scipy"}, name


@pytest.mark.parametrize("file", [file for file in FILES if room_of(file) != "report"], ids=name_of)
def test_only_report_knows_rich_or_a_plotting_library(file):
    names = {
        name.partition(".")[0]
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", "") or "", *(alias.name for alias in node.names)]
    }
    assert not names & {"rich", "matplotlib", "plotly", "altair", "bokeh"}


@pytest.mark.parametrize("file", [file for file in FILES if WORKER in file.parents], ids=name_of)
def test_a_worker_imports_numpy_keras_and_its_own_framework_only(file):
    own = (
        {file.stem, *COMPANIONS.get(file.stem, ())}
        if file.parent.name in FRAMEWORK_FOLDERS
        else set()
    )
    for name in imported(file):
        top = name.partition(".")[0]
        if top == "harness":
            assert any(name == may or name.startswith(f"{may}.") for may in WORKER_MAY), name
        else:
            assert top in sys.stdlib_module_names | {"numpy", "keras"} | own, name


@pytest.mark.parametrize("module", arms())
def test_every_arm_has_the_same_verbs_with_the_same_arguments(module):
    assert find_faults(file_of(module, None)) == []


@pytest.mark.parametrize("module", [module for module in arms() if module.startswith("naive.")])
def test_the_files_from_scratch_have_the_same_names_with_the_same_arguments(module):
    file = WORKER / "arms" / f"{module.replace('.', '/')}.py"
    found = signatures(file)
    assert {name: arguments for name, arguments in found.items() if name in NAIVE} == NAIVE
    classes = {node.name for node in tree(file).body if isinstance(node, ast.ClassDef)}
    assert classes >= {"NaiveDense", "NaiveSequential"}
    assert "BatchGenerator" in file.read_text()
    assert ".fit(" not in file.read_text(), "no Keras fit in them"


@pytest.mark.parametrize("backend", tomllib.loads((ROOT / "backends.toml").read_text())["backends"])
def test_every_framework_answers_the_same_questions(backend):
    assert signatures(WORKER / "frameworks" / f"{backend}.py") == FRAMEWORK


@pytest.mark.parametrize("framework", ["tensorflow", "jax", "torch"])
def test_every_framework_that_derives_is_asked_for_the_same_gradients(framework):
    assert signatures(WORKER / "gradients" / f"{framework}.py") == {"compute_gradients": []}


@pytest.mark.parametrize("framework", ["tensorflow", "jax", "torch"])
def test_every_framework_derives_a_scalar_by_tensors(framework):
    found = signatures(WORKER / "backward" / f"{framework}.py")
    assert found == {"derive": ["total", "values"]}


@pytest.mark.parametrize("framework", ["tensorflow", "jax", "torch"])
def test_every_framework_is_made_to_compute_in_float64_and_says_what_does_not(framework):
    found = signatures(WORKER / "float64" / f"{framework}.py")
    assert found["patch"] == []
    assert found["watch"] == []


@pytest.mark.parametrize("framework", ["tensorflow", "jax", "torch"])
def test_every_framework_trains_on_several_devices_and_reads_them_back(framework):
    found = signatures(WORKER / "replicas" / f"{framework}.py")
    expected = {"prepare": ["n_replicas", "device"], "holders": ["model"], "apart": ["model"]}
    expected |= {"adopt": ["model"]}
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("framework", ["tensorflow", "jax", "torch"])
def test_every_framework_trains_any_model_by_the_same_functions(framework):
    found = signatures(WORKER / "arms" / "train_step" / f"{framework}.py")
    assert found == TRAIN_STEP | {"place": ["data"]}


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_only_the_front_door_prints_or_exits(file):
    calls = {
        getattr(node.func, "id", "") for node in ast.walk(tree(file)) if isinstance(node, ast.Call)
    }
    raised = {
        ast.unparse(node.exc)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Raise) and node.exc
    }
    if file not in DOORS:
        assert not calls & {"print", "exit"}
        assert not [name for name in raised if name.startswith("SystemExit")]


def functions(file):
    """Yield a file's functions and methods, nested ones too."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def n_decisions(node):
    """Count a function's decisions, in expressions too; those of nested functions are theirs."""
    total = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(child, DECISIONS):
            total += 1
        elif isinstance(child, ast.comprehension):
            total += 1 + len(child.ifs)
        elif isinstance(child, ast.BoolOp):
            total += len(child.values) - 1
        total += n_decisions(child)
    return total


def public_functions(file):
    """Yield a module's public functions and its public classes' public methods."""
    classes = [node for node in tree(file).body if isinstance(node, ast.ClassDef)]
    public = [each for each in classes if not each.name.startswith("_")]
    for body in (tree(file).body, *(each.body for each in public)):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
                yield node


@pytest.mark.parametrize("file", [*FILES, *TESTS], ids=name_of)
def test_no_line_is_longer_than_100_columns_but_for_addresses(file):
    lines = enumerate(file.read_text().splitlines(), start=1)
    assert not [number for number, line in lines if len(line) > 100 and "http" not in line]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_has_at_most_300_lines_and_a_function_40(file):
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions(file)}
    long = [f"{name}: {length}" for name, length in lengths.items() if length > 40]
    n_lines = len(file.read_text().splitlines())
    assert not [*long, *([f"{n_lines} lines"] if n_lines > 300 else [])]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_function_has_more_than_10_decisions(file):
    counts = {node.name: n_decisions(node) for node in functions(file)}
    assert not {name: n for name, n in counts.items() if n > 10}


@pytest.mark.parametrize("file", ORCHESTRATOR, ids=name_of)
def test_no_function_has_ten_parameters(file):
    for node in functions(file):
        several = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        assert len(several) < 10, node.name


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_public_functions_of_three_parameters_or_more_document_them(file):
    bare = []
    for node in public_functions(file):
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        names = [each.arg for each in arguments if each.arg not in ("self", "cls")]
        if len(names) >= 3 and "Args:" not in (ast.get_docstring(node) or ""):
            bare.append(node.name)
    assert not bare
