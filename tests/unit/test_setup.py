"""`harness setup`: real environments, real wheels, pip itself; nothing from the network."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import typer

from harness.cli.init import init
from harness.cli.project import open_project
from harness.environments.find import STAMP, find_python
from harness.environments.installers import _explain
from harness.environments.managed import Asked, is_complete
from harness.environments.recipe import make_recipe
from harness.errors import ConfigError, EnvironmentMissing
from harness.spec.config import load
from harness.spec.project import choose_spec

ROOT = Path(__file__).resolve().parents[2]
WHEELS = {  # name, version: what it requires
    ("numpy", "2.4.6"): [],
    ("jax", "0.10.2"): [],
    ("torch", "2.13.0"): ["nvidia-cublas"],
    ("torch", "2.13.0+cpu"): [],
    ("nvidia_cublas", "13.0"): [],
    ("layers", "1.0"): ["torch==2.13.0+cpu"],
}
BACKENDS = """
[backends.numpy]
requirements = {{ cpu = ["--no-index", "--find-links '{shelf}'", {numpy}], gpu = ["numpy"] }}
arms = {{ naive = {{ module = "naive.numpy" }} }}
[backends.jax]
requirements = {{ cpu = ["--no-index", "--find-links '{shelf}'", "jax==0.10.2"], gpu = ["jax"] }}
arms = {{ naive = {{ module = "naive.jax" }} }}
[backends.torch]
requirements = {{ cpu = ["--no-index", "--find-links '{shelf}'", {torch}], gpu = ["torch"] }}
arms = {{ naive = {{ module = "naive.torch" }} }}
[protocol]
arms = ["naive"]
[bench]
arms = ["naive"]
"""
SPECS = """
[specs.plain]
model = "my_model.py"
[specs.own]
model = "my_model.py"
requirements = ["numpy==2.4.6"]
install = "my package"
"""
PACKAGE = """
[build-system]
requires = []
build-backend = "setup_here"
backend-path = ["."]
[project]
name = "mine"
version = "1.0"
"""
BUILD = """
import os, zipfile
def build_editable(folder, settings=None, metadata=None):
    name = "mine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("mine.pth", os.getcwd())
        about = "Metadata-Version: 2.1\\nName: mine\\nVersion: 1.0\\n"
        wheel.writestr("mine-1.0.dist-info/METADATA", about)
        kind = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr("mine-1.0.dist-info/WHEEL", kind)
        wheel.writestr("mine-1.0.dist-info/RECORD", "")
    return name
"""
UV = """#!/bin/sh
echo "$@" >> '{log}'
{script}
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A folder of small wheels with the names of frameworks."""
    folder = tmp_path_factory.mktemp("a shelf")
    for (name, version), required in WHEELS.items():
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            lines = [f"Requires-Dist: {each}" for each in required]
            about = [f"Name: {name}", f"Version: {version}", *lines]
            wheel.writestr(f"{name}/__init__.py", "")
            wheel.writestr(f"{name}/large", bytes(100_000))
            wheel.writestr(f"{info}/METADATA", "\n".join(["Metadata-Version: 2.1", *about, ""]))
            tags = ["Wheel-Version: 1.0", "Root-Is-Purelib: true", "Tag: py3-none-any", ""]
            wheel.writestr(f"{info}/WHEEL", "\n".join(tags))
            wheel.writestr(f"{info}/RECORD", "")
    return folder


class Project:
    """A folder with a space in its name, and the harness command in it."""

    def __init__(self, root, shelf):
        self.root, self.shelf = root, shelf
        self.root.mkdir()
        self.write()

    def write(self, numpy='"numpy==2.4.6"', torch='"torch==2.13.0+cpu"'):
        text = BACKENDS.format(shelf=self.shelf, numpy=numpy, torch=torch)
        (self.root / "backends.toml").write_text(text)

    def start(self, *arguments, shell=(), **variables):
        surroundings = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HARNESS", "PIP"))
        }
        return subprocess.Popen(
            [*shell, sys.executable, "-m", "harness", *arguments],
            cwd=self.root,
            env=surroundings
            | {"PYTHONPATH": str(ROOT), "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
            | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, shell=(), **variables):
        process = self.start(*arguments, shell=shell, **variables)
        out, err = process.communicate(timeout=100)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def made(self):
        """The environments that are there, whole or not."""
        return sorted((self.root / ".harness" / "envs").glob("[a-z]*"))

    def find(self, name):
        return find_python(name, load(self.root / "backends.toml").backends[name], self.root)

    def fake_uv(self, script):
        """A uv that does what a script says; returns PATH with it, and the log of its calls."""
        folder, log = self.root / "bin", self.root / "uv.log"
        folder.mkdir()
        (folder / "uv").write_text(UV.format(log=log, script=script))
        (folder / "uv").chmod(0o755)
        return f"{folder}{os.pathsep}{os.environ['PATH']}", log


def children_s():
    """The seconds of a core that children took: a busy machine changes them little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture
def project(tmp_path, shelf, monkeypatch):
    for name in ("HARNESS_ENVIRONMENTS", "NOXENVDIR", "NOX_CURRENT_SESSION", "HARNESS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return Project(tmp_path / "my project", shelf)


def test_setup_says_what_comes_makes_it_once_and_a_second_call_takes_two_seconds(project):
    done = project.run("setup", "numpy")
    assert done.returncode == 0, done.stderr
    assert (
        "numpy: for the CPU: numpy==2.4.6; about 20 MiB to download, 90 MiB on disk" in done.stdout
    )
    (folder,) = project.made()
    assert re.search(rf"^numpy: made in .+ MiB: \.harness/envs/{folder.name}$", done.stdout, re.M)
    assert (project.find("numpy").path, project.find("numpy").origin) == (
        folder / "bin" / "python",
        "setup",
    )
    assert (project.root / ".harness" / ".gitignore").read_text() == "*\n"
    began, before = children_s(), (folder / STAMP).stat()
    again = project.run("setup", "numpy")
    assert children_s() - began < 2
    assert again.stdout == f"numpy: complete: .harness/envs/{folder.name}\n"
    assert (folder / STAMP).stat().st_mtime_ns == before.st_mtime_ns
    python = folder / "bin" / "python"
    named = project.run("doctor", "--python", f"jax={python}")
    assert re.search(rf"^ *jax +.*{folder.name}/bin/python \(own\)", named.stdout, re.M), named
    assert re.search(rf"^ *numpy +\.harness/envs/{folder.name} \(setup\)", named.stdout, re.M)


def test_what_cannot_be_installed_is_a_sentence_the_other_backends_go_on_and_nothing_stays(project):
    project.write(numpy='"numpy==9.9"')
    done = project.run("setup", "numpy", "jax")
    assert done.returncode == 1
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("numpy: ")]
    assert sentence.startswith("numpy: [backends.numpy.requirements] cpu: cannot be installed")
    assert "numpy==9.9" in sentence
    assert sentence.endswith("Change them, then: harness setup numpy")
    assert [folder.name.partition("-")[0] for folder in project.made()] == ["jax"]
    with pytest.raises(
        EnvironmentMissing, match=r"^environment missing\. Run: harness setup numpy$"
    ):
        project.find("numpy")


def test_a_second_framework_is_refused_with_the_package_that_brings_it(project):
    project.write(numpy='"numpy==2.4.6", "layers==1.0"')
    done = project.run("setup", "numpy")
    assert done.returncode == 1
    assert "they bring a second framework, torch, which layers requires" in done.stderr
    assert project.made() == []


def test_a_framework_that_is_not_among_the_requirements_is_named(project):
    project.write(torch='"numpy==2.4.6"')
    done = project.run("setup", "torch")
    assert "[backends.torch.requirements] cpu: torch is not among them. Add it" in done.stderr
    assert (done.returncode, project.made()) == (1, [])


def test_for_a_cpu_pytorch_s_build_for_a_gpu_comes_only_if_it_is_allowed(project):
    project.write(torch='"torch"')
    plain = project.run("setup", "torch")
    assert plain.returncode == 0, plain.stderr  # the best version is that for a CPU
    project.write(torch='"torch!=2.13.0+cpu"')
    refused = project.run("setup", "torch")
    assert refused.returncode == 1
    assert "PyTorch's build for a GPU would come, with nvidia-cublas" in refused.stderr
    assert len(project.made()) == 1
    allowed = project.run("setup", "torch", "--allow-large")
    assert allowed.returncode == 0, allowed.stderr


def test_an_index_that_does_not_answer_is_left_out_and_one_that_nothing_replaces_is_a_sentence(
    project,
):
    project.write(numpy='"--extra-index-url http://127.0.0.1:9/simple", "numpy==2.4.6"')
    done = project.run("setup", "numpy")
    assert done.returncode == 0, done.stderr
    assert "http://127.0.0.1:9/simple: does not answer" in done.stderr
    text = (project.root / "backends.toml").read_text().replace('"--no-index", ', "")
    (project.root / "backends.toml").write_text(text.replace("numpy==2.4.6", "numpy==2.4.7"))
    alone = project.run(
        "setup", "numpy", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1"
    )
    assert alone.returncode == 1
    assert "numpy: no package index can be reached. Connect, or set PIP_INDEX_URL" in alone.stderr


def test_where_uv_fails_pip_takes_its_place_unless_uv_is_named(project):
    path, log = project.fake_uv("echo 'error: No solution found' >&2; exit 2")
    done = project.run("setup", "numpy", PATH=path)
    assert done.returncode == 0, done.stderr
    assert "pip takes its place" in done.stderr
    assert log.read_text().startswith("venv ")
    named = project.run("setup", "jax", "--installer", "uv", PATH=path)
    assert named.returncode == 1
    assert "jax: [backends.jax.requirements] cpu: cannot be installed together" in named.stderr


def test_two_setups_at_once_make_one_environment(project):
    both = [project.start("setup", "numpy") for _ in range(2)]
    said = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len(project.made()) == 1
    assert project.find("numpy").origin == "setup"


def test_a_killed_setup_leaves_nothing_that_is_taken_for_whole_and_its_installer_is_waited_for(
    project,
):
    go = project.root / "go"
    half = 'mkdir -p "$6/bin"; echo > "$6/bin/python"; chmod +x "$6/bin/python"; '
    path, _ = project.fake_uv(f"{half}while [ ! -e '{go}' ]; do sleep 0.05; done")
    first = project.start("setup", "numpy", PATH=path)
    deadline = time.monotonic() + 30
    while not list(project.root.glob(".harness/envs/*/bin/python")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (half,) = project.made()
    assert (half / "bin" / "python").exists()
    with pytest.raises(EnvironmentMissing):
        project.find("numpy")
    second = project.start("setup", "numpy", "--installer", "pip")
    assert "waiting: another setup makes it" in second.stderr.readline()
    go.touch()
    said = second.communicate(timeout=100)
    assert second.returncode == 0, said
    assert project.find("numpy").origin == "setup"


def test_in_nox_s_folder_what_is_there_and_whole_is_kept_and_what_is_not_is_made_anew(project):
    envs = {"HARNESS_ENVIRONMENTS": str(project.root / "envs")}
    made = project.root / "envs" / "train-numpy"
    done = project.run("setup", "numpy", **envs)
    assert done.returncode == 0, done.stderr
    (made / STAMP).unlink()  # as one that nox has made before there were stamps
    (made / "mine").touch()
    assert project.run("setup", "numpy", **envs).returncode == 0
    assert (made / "mine").exists()
    assert (made / STAMP).exists()
    (made / STAMP).unlink()
    project.write(numpy='"numpy"')
    (made / "requirements.txt").write_text("# gpu\nnumpy\n")
    assert project.run("setup", "numpy", **envs).returncode == 0
    assert not (made / "mine").exists()


def test_a_folder_that_cannot_be_made_says_how_to_name_another(project):
    (project.root / ".harness").touch()
    done = project.run("setup", "numpy")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "HARNESS_ENVIRONMENTS=FOLDER harness setup numpy" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_a_sentence_and_nothing_stays_for_the_next_setup_to_take(project):
    full = ("bash", "-c", 'ulimit -f 64; exec "$@"', "bash")  # files of 64 KiB
    done = project.run("setup", "numpy", "--installer", "pip", shell=full)
    assert done.returncode == 1
    assert "numpy: the disk is full (" in done.stderr
    assert "Make room, then: harness setup numpy" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.made() == []
    assert project.run("setup", "numpy").returncode == 0


def test_a_dry_run_makes_nothing(project):
    done = project.run("setup", "--dry-run")
    assert done.returncode == 0
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "numpy",
        "jax",
        "torch",
    ]
    assert not (project.root / ".harness").exists()


def test_what_a_spec_requires_and_the_user_s_own_package_have_an_environment_of_their_own(project):
    package = project.root / "my package"
    (package / "mine").mkdir(parents=True)
    (package / "mine" / "__init__.py").touch()
    (package / "pyproject.toml").write_text(PACKAGE)
    (package / "setup_here.py").write_text(BUILD)
    (project.root / "my_model.py").write_text("def build(): ...\ndef data(): ...\n")
    with (project.root / "backends.toml").open("a") as file:
        file.write(SPECS)
    done = project.run("setup", "torch")
    assert done.returncode == 0, done.stderr
    plain, own = sorted(project.made(), key=lambda folder: len(list(folder.rglob("*.pth"))))
    assert plain != own
    root, config = open_project(project.root / "backends.toml").root, None
    found = {}
    for spec in ("plain", "own"):
        config, _ = choose_spec(root, load(project.root / "backends.toml"), spec)
        found[spec] = find_python("torch", config.backends["torch"], root).path
    assert found == {"plain": plain / "bin" / "python", "own": own / "bin" / "python"}
    imports = [str(found["own"]), "-c", "import mine, numpy"]
    assert subprocess.run(imports, check=False).returncode == 0
    (package / "pyproject.toml").write_text(PACKAGE + "# other dependencies\n")
    with pytest.raises(EnvironmentMissing):
        find_python("torch", config.backends["torch"], root)


@pytest.mark.parametrize(
    "stamp", [b"", b"{", b"[]", b'{"digest": "another"}', b"[" * 100_000], ids=ascii
)
def test_a_stamp_that_is_torn_or_another_s_is_none(project, stamp):
    backend = load(project.root / "backends.toml").backends["numpy"]
    recipe = make_recipe("numpy", backend, "cpu")
    folder = project.root / ".harness" / "envs" / recipe.folder_name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    whole = {"digest": recipe.digest, "constraints": None}
    (folder / STAMP).write_text(json.dumps(whole))
    assert is_complete(folder, recipe, Asked())
    (folder / STAMP).write_bytes(stamp)
    assert not is_complete(folder, recipe, Asked())
    with pytest.raises(EnvironmentMissing):
        project.find("numpy")


SAID = {
    "pip, disk": (
        "Collecting x\nERROR: Could not install packages due to an OSError: "
        "[Errno 28] No space left on device\n",
        "the disk is full",
    ),
    "uv, disk": (
        "error: Failed to install: x.whl\n  Caused by: No space left on device (os error 28)\n",
        "the disk is full",
    ),
    "pip, network": (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError("
        '"Failed to establish a new connection: [Errno -3] Temporary failure in name resolution'
        "\")'\n"
        "ERROR: No matching distribution found for jax==0.10.2\n",
        "no package index can be reached",
    ),
    "uv, network": (
        "error: Request failed after 3 retries\n  Caused by: error sending request for url\n",
        "no package index can be reached",
    ),
    "pip, conflict": (
        "ERROR: Cannot install a and b because these package versions have conflicting "
        "dependencies.\n"
        "ERROR: ResolutionImpossible: for help visit a page\n",
        "(Cannot install a and b because",
    ),
    "nothing": ("", "pip failed (it printed nothing)"),
}


@pytest.mark.parametrize(("output", "sentence"), SAID.values(), ids=SAID)
def test_what_installers_say_becomes_one_sentence(project, output, sentence):
    backend = load(project.root / "backends.toml").backends["numpy"]
    said = str(_explain(output, make_recipe("numpy", backend, "cpu"), "pip", {}))
    assert sentence in said
    assert "harness setup numpy" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("jax", "--python: expected BACKEND=PATH; received 'jax'"),
        ("jx=/bin/sh", "Did you mean 'jax'?"),
        ("jax=nowhere", "nowhere: no such file. Name another: --python jax=PATH"),
        ("jax=.", "expected a Python; it is a folder. Name another"),
        ("jax=backends.toml", "expected a program; it may not be run"),
    ],
)
def test_an_interpreter_that_is_none_is_refused_before_anything_runs(
    project, monkeypatch, given, said
):
    monkeypatch.chdir(project.root)
    with pytest.raises(ConfigError) as caught:
        open_project(None, pythons=[given])
    assert said in str(caught.value)


def test_init_writes_what_a_stranger_begins_with_and_overwrites_nothing(
    project, monkeypatch, capsys
):
    monkeypatch.chdir(project.root)
    (project.root / "backends.toml").unlink()
    (project.root / ".gitignore").write_text("*.pyc")
    init()
    config = load(project.root / "backends.toml")
    assert list(config.backends) == ["tensorflow", "jax", "torch"]
    assert config.backends["jax"] == load(ROOT / "backends.toml").backends["jax"]
    compile((project.root / "my_model.py").read_text(), "my_model.py", "exec")
    assert (project.root / ".gitignore").read_text() == "*.pyc\n.harness/\nresults/\n"
    (project.root / "my_model.py").write_text("mine")
    with pytest.raises(typer.Exit) as left:
        init()
    assert left.value.exit_code == 1
    assert "my_model.py: is there already; left as it is" in capsys.readouterr().err
    assert (project.root / "my_model.py").read_text() == "mine"
    assert (project.root / ".gitignore").read_text().count("results/") == 1
