"""Models that fail while they train, and places that fail them: a sentence; the rest goes on."""

import os
import re
import subprocess

import pytest

ONE_EPOCH = ("--arm", "keras", "--epochs", "1")


def by_backend(project):
    return {each["request"]["backend"]: each for each in project.records()}


@pytest.mark.long
@pytest.mark.parametrize("own", ["tensorflow", "torch"])
def test_a_train_step_of_one_backend_trains_there_and_is_a_sentence_elsewhere(folder, own):
    done = folder.run("train", f"faulty_steps.py:of_{own}", *ONE_EPOCH)
    assert done.returncode == 1
    found = by_backend(folder)
    assert {name for name, each in found.items() if each["status"] == "ok"} == {own}
    for name, each in found.items():
        if name != own:
            assert each["reason"].startswith(f"faulty_steps.py:of_{own}: training raised "), each
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.long
def test_a_layer_that_two_backends_lack_is_a_sentence_there_and_trains_on_the_third(folder):
    done = folder.run("train", "faulty_steps.py:of_layer", *ONE_EPOCH)
    assert done.returncode == 1, done.stdout + done.stderr
    found = by_backend(folder)
    assert {name: each["status"] for name, each in found.items()} == {
        "tensorflow": "failed",
        "jax": "ok",
        "torch": "failed",
    }
    assert re.match("of_layer raised .*jax", found["tensorflow"]["reason"])
    expected = "of_layer raised ValueError: JaxLayer is only supported with the JAX or Tensorflow"
    assert found["torch"]["reason"].startswith(expected)
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.long
def test_without_a_compiler_lean_takes_the_place_of_compiled_and_that_is_said(folder):
    named = ("torch", "--arm", "compiled", "--epochs", "1")
    done = folder.run("train", "faulty_steps.py", *named, PATH="/nowhere")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = folder.records()
    assert record["measured"]["settings"]["trained_by"] == "lean"
    assert "compiler" in record["measured"]["settings"]["refused"]
    assert "lean took its place" in done.stdout


@pytest.mark.long
def test_a_compiler_that_fails_is_named_as_the_reason_also_where_a_graph_is_known(folder, tmp_path):
    compiler = tmp_path / "bin" / "g++"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n[ $1 = --version ] && echo 12 && exit 0\nexit 1\n")
    compiler.chmod(0o755)
    named = ("train", "faulty_steps.py", "torch", "--arm", "compiled", "--epochs", "1")
    # A cache of its own: a graph that is known there fails with "backend='inductor' raised:" first.
    places = {"TMPDIR": str(tmp_path), "HARNESS_CACHE_DIR": str(tmp_path / "cache")}
    assert folder.run(*named, **places).returncode == 0
    path = f"{compiler.parent}{os.pathsep}{os.environ['PATH']}"
    done = folder.run(*named, **places, PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    settings = [each["measured"]["settings"] for each in folder.records()]
    by_arm = {each["trained_by"]: each["refused"] for each in settings}
    assert set(by_arm) == {"compiled", "lean"}
    assert "raised: CppCompileError: C++ compile error" in by_arm["lean"]


FULL = {
    "weights": (("faulty_steps.py:large",), "cannot be written (File too large)"),
    "data": (("faulty_steps.py", "--data", "faulty_steps.py:much"), "(is the disk full? "),
}


@pytest.mark.long
@pytest.mark.parametrize(("named", "said"), FULL.values(), ids=FULL)
def test_a_full_disk_is_a_sentence_with_the_file_and_nothing_half_made_stays(folder, named, said):
    command = folder.command("train", *named, "jax", *ONE_EPOCH)
    shell = ["bash", "-c", 'ulimit -f 2048; exec "$@"', "bash", *command]  # files of 2 MiB
    done = subprocess.run(
        shell, cwd=folder.root, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert folder.records() == []


FEEDS = {
    "data": ("ok", ""),
    "others": ("failed", "gives other batches here than where they were made"),
    "once": ("failed", "expected a pipeline that can be read again; received a generator"),
    "arrays": ("failed", "expected a pipeline that can be read again; received ndarray"),
}


@pytest.mark.long
@pytest.mark.parametrize(("function", "expected"), FEEDS.items(), ids=FEEDS.keys())
def test_a_pipeline_feeds_fit_where_it_gives_the_batches_that_were_made(folder, function, expected):
    whole = folder.root / "backends.toml"
    spec = f'model = "pipelines.py"\ndata = "pipelines.py:{function}"\nfeed = "own"\nepochs = 2'
    whole.write_text(whole.read_text().replace("[specs.", f"[specs.mine]\n{spec}\n\n[specs.", 1))
    folder.run("train", "jax", "torch", "--spec", "mine")
    status, reason = expected
    found = folder.records()
    assert [each["request"]["implementation"] for each in found] == ["keras", "keras"]
    assert {each["status"] for each in found} == {status}
    assert all(reason in each["reason"] for each in found)
    if status == "ok":
        assert {each["measured"]["n_updates"] for each in found} == {20}
