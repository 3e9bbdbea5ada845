"""`harness survey` with real backends: it finds a known difference, goes on, and survives items."""

import json
from dataclasses import replace

import pytest

from harness.engine.executor import make_executor
from harness.experiments.survey import plan, run
from harness.job.asked import SurveyItem
from harness.spec import config

ONLY = ("--only", "losses.Huber 1", "--only", "optimizers.Adam saved in .keras")


def test_a_survey_finds_a_known_difference_again_and_a_second_call_computes_nothing(
    project, tmp_path
):
    file = tmp_path / "survey.json"
    done = project.run("survey", "jax", "torch", *ONLY, "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 items are the same on jax and torch; 0 kinds of difference" in done.stdout
    found = json.loads(file.read_text())
    (group,) = found["groups"]
    assert group["known"]["name"] == ".keras from PyTorch"
    assert group["confirmed"] is True
    assert group["lines"] == ["1.0", "0.0"], "as jax and torch print it in a process of their own"
    again = project.run("survey", "jax", "torch", *ONLY)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "items done" not in again.stdout
    (record,) = (project.results / "survey").iterdir()
    assert len(record.read_text().splitlines()) == 4  # head, two items, a script


@pytest.mark.long
def test_an_item_that_ends_its_process_or_never_ends_costs_itself_only(project):
    backends = {"jax": config.load(project.root / "backends.toml").backends["jax"]}

    def item(number, name, *setup):
        return SurveyItem(
            name=name,
            subject="ops.sin",
            number=number,
            seed=0,
            inputs=("np.float32([1, 2])",),
            setup=setup,
            call="ops.sin(x0)",
            derive=True,
        )

    items = (
        item(0, "first"),
        item(1, "crash", "import os; os.abort()"),
        item(2, "hang", "import time; time.sleep(1000)"),
        item(3, "raises", "1 / 0"),
        item(4, "last"),
    )
    what = replace(plan.plan_survey(backends | {"torch": backends["jax"]}, ()), items=items)
    what = replace(what, backends=backends, item_limit_s=10.0)
    (project.results / "survey").mkdir(parents=True)
    executor = make_executor(project.root, backends)
    found = run.Surveyor(what, executor, project.results, "x", lambda _: None).compute(items)
    by_name = {each.name: each for each in found}
    assert by_name["first"].failures == by_name["last"].failures == {}
    assert {each.name for each in by_name["last"].quantities} == {"output", "gradient x0"}
    assert "SIGABRT" in by_name["crash"].failures["setup"]["jax"]
    assert by_name["hang"].failures["setup"]["jax"] == "no result within 10 s"
    assert by_name["raises"].failures["setup"]["jax"].startswith("ZeroDivisionError")
