"""What `harness parity --proof` says, and when it fails."""

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.cli.main import app
from harness.experiments.proof import document as report
from harness.experiments.proof import made_up, sensitivity
from harness.experiments.proof import prove as proof
from harness.experiments.proof.defects import DEFECTS, Defect
from harness.experiments.proof.prove import Proof
from harness.experiments.proof.sensitivity import Seen, Target
from harness.report import terminal
from tests.parity.small import reference

LEAKY = next(defect for defect in DEFECTS if defect.name == "leaky relu")
HARMLESS = Defect("nothing at all", "hidden/z", "there is nothing", {})
KEPT = Seen(Target("learning rate", lambda by: {}, 1e-5), 1e-6, "update/hidden/kernel")


def proved(*defects, curve=(KEPT,), alarm=False):
    kills = tuple(proof.plant(reference(), defect) for defect in defects)
    nulls = tuple(proof.try_nulls(proof.Trial("small", reference()), n_twins=1))
    if alarm:
        nulls = (replace(nulls[0], alarms=kills[0].departures[:1]), *nulls[1:])
    return Proof(kills, nulls, curve, 1.0)


def shown(found):
    console = Console(width=300)
    with console.capture() as captured:
        terminal.show(report.compose(found), console)
    return captured.get()


def test_a_proof_holds_where_every_defect_is_caught_and_no_null_change_alarms():
    found = proved(LEAKY)
    assert found.holds
    assert "1 of 1 caught, 1 where they must be" in shown(found)
    assert ", 0 alarms" in shown(found)


def test_a_survivor_is_named_and_breaks_the_proof():
    found = proved(LEAKY, HARMLESS)
    assert not found.holds
    (line,) = [line for line in shown(found).splitlines() if "nothing at all" in line]
    assert "SURVIVED" in line


def test_a_defect_that_is_caught_elsewhere_is_said_to_be():
    text = shown(proved(replace(LEAKY, at="losses")))
    assert "1 of 1 caught, 0 where they must be" in text
    assert "hidden/a, expected losses" in text


def test_an_alarm_is_named_and_breaks_the_proof():
    found = proved(LEAKY, alarm=True)
    assert not found.holds
    assert "alarm: small, no change: instrumented init, hidden/a" in shown(found)


@pytest.mark.parametrize("smallest", [1e-4, None])
def test_an_error_that_must_be_seen_and_is_not_breaks_the_proof(smallest):
    assert not proved(LEAKY, curve=(replace(KEPT, smallest=smallest),)).holds


@pytest.mark.parametrize(("defects", "code"), [((LEAKY,), 0), ((LEAKY, HARMLESS), 1)])
def test_the_command_s_exit_code_is_the_proof_s(monkeypatch, defects, code):
    monkeypatch.setattr(proof, "prove", lambda say: proved(*defects))
    assert CliRunner().invoke(app, ["parity", "--proof"]).exit_code == code


@pytest.mark.parametrize("decade", [1, 2, 5, 8])
def test_the_smallest_error_that_is_seen_is_found(decade):
    target = Target("some", lambda by: {"by": by})
    (seen,) = sensitivity.curve(
        lambda parts: "there" if parts["by"] > 0.9 * 10.0**-decade else "", (target,)
    )
    assert (seen.smallest, seen.stage) == (pytest.approx(10.0**-decade), "there")


def test_what_is_never_seen_has_no_smallest_error():
    (seen,) = sensitivity.curve(lambda parts: "", (Target("some", lambda by: {}),))
    assert (seen.smallest, seen.stage, seen.kept) == (None, "", False)


def test_samples_have_a_black_border_and_every_class():
    found = made_up.samples(352, np.random.default_rng(0))
    assert not found["x_train"][:, : made_up.BORDER].any()
    assert set(found["y_train"]) == set(range(10))
