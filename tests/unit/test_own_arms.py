"""An arm of a user's own: what backends.toml accepts, what its author is told, its digest."""

from pathlib import Path

import pytest

from harness.environments.own_code import with_own_code
from harness.errors import ConfigError
from harness.spec import config
from harness.testing import check_arm

ROOT = Path(__file__).resolve().parents[2]
ARM = """import helpers
from harness.worker.arms.naive import numpy as plain
from harness.worker.arms.naive.numpy import build, export, facts, place, predict
from harness.worker.arms.naive.numpy import resume, slots, wait

OPTIONS = {"speed": ("full", "half")}
EXPRESSES = {"optimizers": ("sgd",)}


def epoch(state, data):
    return plain.epoch(state, data)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "helpers.py").write_text("import deeper.part\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "part.py").write_text("")
    (tmp_path / "my arm.py").write_text(ARM)
    (tmp_path / "deeper" / "arm.py").write_text(ARM.replace("import helpers", "from . import part"))
    return tmp_path


def load(folder, arm):
    table = "[backends.numpy.arms]\n"
    whole = (ROOT / "backends.toml").read_text().replace(table, f"{table}mine = {arm}\n")
    (folder / "backends.toml").write_text(whole)
    return config.load(folder / "backends.toml")


@pytest.mark.parametrize("module", ["my arm.py", "deeper/arm.py", "deeper.arm"])
def test_a_file_or_a_module_beside_backends_toml_is_an_arm(folder, module):
    found = load(folder, f'{{ module = "{module}", options = {{ speed = "half" }} }}')
    assert found.backends["numpy"].arms["mine"].module == module
    check_arm(module, folder)


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        (
            '{ module = "my_arm.py" }',
            r"expected one of helpers.py, my arm.py; received 'my_arm.py'",
        ),
        ('{ module = "/tmp/arm.py" }', "expected a file, as from backends.toml's folder"),
        ('{ module = "deeper.arms" }', "expected one of compiled.jax, .+ received 'deeper.arms'"),
        ('{ module = "helpers.py" }', r"expected a function build\(spec, weights, options\)"),
        (
            '{ module = "my arm.py", options = { speed = "none" } }',
            "options.speed: expected one of full, half; received 'none'",
        ),
        (
            '{ module = "my arm.py", options = { sped = "full" } }',
            "options: unknown key: expected one of speed; received 'sped'. Did you mean 'speed'",
        ),
    ],
)
def test_one_that_is_none_is_refused_in_a_sentence_with_its_place(folder, arm, said):
    with pytest.raises(ConfigError, match=rf"^backends.toml: \[backends.numpy\] arms.mine.*{said}"):
        load(folder, arm)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("(state, data):", "(state):", r"expected a function epoch\(state, data\); received epoch"),
        ("def epoch", "def epochs", r"expected a function epoch\(state, data\); received none"),
        ("slots, wait", "slots", r"expected a function wait\(state\); received none"),
        ("def epoch", "def def", "line 10: not valid Python"),
        ('{"speed":', "dict(speed=", None),
        ("import helpers", "raise RuntimeError", None),
    ],
)
def test_its_author_is_told_what_is_missing_and_nothing_of_it_is_run(folder, old, new, said):
    file = folder / "my arm.py"
    assert old in ARM
    file.write_text(
        ARM.replace(old, new).replace('half")}', 'half"))' if "dict" in new else 'half")}')
    )
    if said is None:
        check_arm(file)
    else:
        with pytest.raises(AssertionError, match=said):
            check_arm(file)


def test_options_that_are_no_literal_are_refused(folder):
    (folder / "my arm.py").write_text(ARM.replace('("full", "half")', "names()"))
    with pytest.raises(ConfigError, match=r"line 6: expected OPTIONS = \{NAME: \(VALUE, ...\)\}"):
        load(folder, '{ module = "my arm.py", options = { speed = "full" } }')


@pytest.mark.parametrize("module", ["my arm.py", "deeper.arm"])
def test_the_digest_is_of_the_arm_and_of_all_that_it_imports_from_beside_it(folder, module):
    digests = {with_own_code("e" * 64, module, folder)}
    changed = ["deeper/part.py", "my arm.py" if module == "my arm.py" else "deeper/arm.py"]
    for number, name in enumerate(changed, start=1):
        (folder / name).write_text((folder / name).read_text() + "# edited\n")
        digests.add(with_own_code("e" * 64, module, folder))
        assert len(digests) == 1 + number
    (folder / "notes.py").write_text("nobody imports it")
    assert with_own_code("e" * 64, module, folder) in digests
    assert with_own_code("e" * 64, "naive.numpy", folder) == "e" * 64


def test_an_arm_that_others_may_write_to_is_refused_where_nobody_named_the_file(
    folder, monkeypatch
):
    from harness.spec.project import open_project

    load(folder, '{ module = "my arm.py" }')
    monkeypatch.chdir(folder)
    open_project(None)
    (folder / "deeper" / "part.py").chmod(0o666)
    with pytest.raises(ConfigError, match=r"part\.py: everybody may write to it"):
        open_project(None)
    open_project(folder / "backends.toml")


def test_own_arms_alone_need_the_keys_that_name_them(folder):
    arms = '[backends.numpy]\narms = { mine = { module = "my arm.py" } }\n'
    named = 'arms = ["mine"]\n'
    file = folder / "backends.toml"
    for text, table in ((arms, "protocol"), (f"[protocol]\n{named}{arms}", "bench")):
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            config.load(file)
        assert str(caught.value) == (
            f"backends.toml: [{table}] arms: expected some of mine; the key is missing, and its "
            'default, keras, is an arm of no backend. Add it, as arms = ["mine"]'
        )
    file.write_text(f"[protocol]\n{named}[bench]\n{named}{arms}")
    assert config.load(file).bench.arms == ("mine",)
