"""The heat map finds it: its first ring is the planted culprit, for every defect of the proof."""

from functools import cache

import pytest

from harness.experiments.parity.charts import heat
from harness.experiments.parity.judge import find_departures, keep_findings
from harness.experiments.proof.defects import DEFECTS, specs
from harness.experiments.proof.made_up import epoch_reference_of, reference_of
from harness.experiments.proof.prove import UNITS, student_answer
from harness.records.parity import ArmParity

pytestmark = pytest.mark.long


@cache
def reference(name, late):
    spec = specs(UNITS)[name]
    losses = {spec.loss_form, *(each.loss for each in DEFECTS if each.spec == name)}
    return (epoch_reference_of if late else reference_of)(spec, losses)


def record_of(defect):
    """The defect's record, as it is read back from the store."""
    ground = reference(defect.spec, defect.late)
    answer = student_answer(ground, defect.student(ground.spec))
    found = keep_findings(*find_departures(ground, answer, defect.loss, {}))
    arm = ArmParity(backend="numpy", implementation="student", module="student", **found)
    return ArmParity.model_validate_json(arm.model_dump_json())


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_the_first_ring_is_at_the_planted_culprit(defect):
    arm = record_of(defect)
    picture = heat({arm.name: arm}).picture
    ringed = {square.row for square in picture.squares if square.ringed}
    first = next(row for row in picture.rows if row in ringed)
    assert first == defect.at
