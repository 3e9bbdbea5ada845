"""What backends handed back of a model -> evidence, verdict and sentences; arrays in files."""

import numpy as np
import pytest

from harness.experiments.parity import model_proof
from harness.experiments.parity.model_charts import layers
from harness.experiments.parity.model_document import compose, sentences
from harness.experiments.parity.model_evidence import Evidence, is_open, judge, mark_once
from harness.experiments.parity.model_judge import make_record
from harness.experiments.parity.model_plan import plan_model_check
from harness.experiments.parity.model_verdict import Verdicts
from harness.records import store
from harness.referee.model64 import KernelError
from harness.report.renderers import render
from harness.worker.sketch import LENGTH, shorten, sketch
from tests.parity.user_models import CONFIG, NOW, answer

BACKENDS = ("tensorflow", "jax", "torch")
U32, U64 = 2.0**-24, 2.0**-53
SHAPES = {
    "output/first": (6, 4),
    "output/wide": (6, 40, 50),
    "training output/first": (6, 4),
    "training output/bent": (6, 4),
    "training output/last": (6, 3),
    "loss": (),
    "gradient/last/kernel": (4, 3),
    "gradient/first/kernel": (2, 4),
    "slot/adam/first_kernel_velocity": (2, 4),
    "update/first/kernel": (2, 4),
    "weight/normal/moving_mean": (4,),
}
STATES = ("0 updates", "10 updates")


def write(folder, change=lambda kind, backend, state, arrays: None, noise=4 * U32, lacking=()):
    """Write what each backend's two workers would; return their answers."""
    plain = np.random.default_rng(1)
    values = {name: plain.standard_normal(shape) for name, shape in SHAPES.items()}
    answers = {}
    for number, backend in enumerate(BACKENDS):
        random = np.random.default_rng([2, number])
        files = {}
        for kind, size in (("exact", 30 * U64), ("rounded", noise)):
            if (kind, backend) in lacking:
                continue
            found = {}
            for state in STATES:
                arrays = {
                    name: value * (1 + size * random.uniform(-1, 1, value.shape))
                    for name, value in values.items()
                }
                change(kind, backend, state, arrays)
                found |= {f"{state}/{name}": value for name, value in shorten(arrays).items()}
            files[kind] = folder / f"{backend}-{kind}.npz"
            np.savez(files[kind], **found)
        answers[backend] = answer(**files)
    return answers


def judged(answers):
    names = tuple(answers)
    what = plan_model_check("tests/e2e/models/departing.py:build", None, names, CONFIG)
    return make_record(what, Verdicts(answers, judge(answers)), {}, NOW, 1.0)


def at(state, *quantities, backend="torch", kinds=("exact", "rounded"), by=1.001):
    def change(kind, which, when, arrays):
        if (which == backend and when in (state, "")) or (state == "" and which == backend):
            for name in quantities if kind in kinds else ():
                arrays[name] = arrays[name] * by

    return change


def test_all_that_agrees_is_counted_whole_and_its_margin_is_float64s(tmp_path):
    found = judged(write(tmp_path))
    assert found.verdict == "agrees"
    per_state = sum(int(np.prod(shape)) for shape in SHAPES.values())
    assert found.n_compared == 2 * per_state, "what is kept as sums counts as it is"
    assert {each.at for each in found.compared} == set(STATES)
    assert 1e3 < found.margin < 1e6
    first = found.compared[0]
    assert set(first.exact) == set(first.rounded) == set(BACKENDS)
    assert first.gate == 1e-10
    assert f"{len(SHAPES)} quantities" in sentences(found)[0]


def test_a_departure_after_ten_updates_says_so(tmp_path):
    found = judged(write(tmp_path, at("10 updates", "weight/normal/moving_mean")))
    assert [each.verdict for each in found.backends] == ["agrees", "agrees", "departs"]
    (reason,) = (each.reason for each in found.backends if each.reason)
    assert reason.startswith("weight/normal/moving_mean after 10 updates: 0.001 of its size away")


def test_a_kernel_that_errs_in_float32_only_departs_and_its_mathematics_agree(tmp_path):
    found = judged(write(tmp_path, at("", "output/first", kinds=("rounded",), by=1 + 1e-5)))
    (reason,) = (each.reason for each in found.backends if each.verdict == "departs")
    assert reason.startswith("output/first (Dense): in its own dtype only: 1e-05 of its size off")
    assert {each.state for each in found.compared} == {"agree"}
    assert {each.kernel for each in found.compared if each.quantity == "output/first"} == {
        ("torch",)
    }


def test_the_chart_has_each_quantity_once_and_names_the_first_as_the_verdict_does(tmp_path):
    change = at("10 updates", "slot/adam/first_kernel_velocity", "weight/normal/moving_mean")
    chart = layers(judged(write(tmp_path, change)))
    assert [row.name for row in chart.picture.rows] == [*SHAPES]
    beyond = [row.name for row in chart.picture.rows if not row.fits]
    assert beyond == ["slot/adam/first_kernel_velocity", "weight/normal/moving_mean"]
    assert chart.finding.startswith(f"2 of {len(SHAPES)} quantities")
    assert f"the first is {beyond[0]} on torch" in chart.finding
    cells = {row[0]: row[2:4] for row in chart.table.rows}
    assert cells[beyond[0]] == ("depart", "10 updates")
    assert cells["loss"][0] == "agree"


def test_the_chart_of_what_agrees_says_so_and_of_a_kernel_that_errs_that_it_departs(tmp_path):
    chart = layers(judged(write(tmp_path)))
    assert chart.finding.startswith(f"All {len(SHAPES)} quantities")
    assert "at each of 2 states" in chart.finding
    (tmp_path / "other").mkdir()
    change = at("", "output/first", kinds=("rounded",), by=1 + 1e-5)
    chart = layers(judged(write(tmp_path / "other", change)))
    assert "the first is output/first on torch" in chart.finding
    assert [row.name for row in chart.picture.rows if not row.fits] == ["output/first"]
    assert chart.table.rows[0][2] == "departs in its own dtype"


def test_of_two_backends_float64_says_that_they_differ_and_not_who_is_wrong(tmp_path):
    answers = write(tmp_path, at("", "loss"))
    del answers["jax"]
    found = judged(answers)
    assert [each.verdict for each in found.backends] == ["differ", "differ"]
    assert "not which of them is wrong: a third would" in sentences(found)[1]


def test_a_model_that_amplifies_rounding_agrees_and_is_told_so(tmp_path):
    found = judged(write(tmp_path, noise=5e-3))
    assert found.verdict == "agrees"
    (said,) = (each for each in found.remarks if "amplifies" in each)
    assert said.startswith("your model amplifies rounding: runs of it in its own dtype differ by")
    assert said.endswith("from machine to machine, on one backend as on 3")


def test_what_float32_loses_wholly_is_undecided_where_float64_does_not_agree(tmp_path):
    rng = np.random.default_rng(5)

    def lost(kind, backend, state, arrays):
        size = 1.0 if kind == "rounded" else 1e-6
        arrays["gradient/last/kernel"] = rng.standard_normal((4, 3)) * size + 1

    found = judged(write(tmp_path, lost))
    assert {each.verdict for each in found.backends} == {"undecided"}
    assert found.reason.startswith("tensorflow: gradient/last/kernel: ")


def test_an_update_that_rounding_decides_is_remarked_and_leaves_the_rest_to_be_judged(tmp_path):
    rng = np.random.default_rng(5)

    def lost(kind, backend, state, arrays):
        arrays["update/first/kernel"] = rng.choice([-1.0, 1.0], (2, 4))

    found = judged(write(tmp_path, lost))
    assert found.verdict == "agrees"
    assert any("update/first/kernel" in each and "not judged" in each for each in found.remarks)


def test_a_backend_without_float64_is_judged_by_the_majority_and_it_is_said(tmp_path):
    answers = write(tmp_path, at("", "output/first"), lacking={("exact", "torch")})
    answers["torch"].inexact = "the model raised TypeError: no float64"
    found = judged(answers)
    assert [each.verdict for each in found.backends] == ["agrees", "agrees", "departs"]
    assert {each.referee for each in found.compared} == {"float64", "majority"}
    assert any(
        "torch: nothing in float64 (the model raised TypeError" in each for each in found.remarks
    )


def test_what_is_left_in_float32_passes_as_its_rounding_and_is_named(tmp_path):
    answers = write(tmp_path, at("", "output/first", kinds=("exact",), by=1 + 2e-7))
    assert judged(answers).verdict == "departs"
    answers["torch"].short = ("aten.add: float32 (my_model.py:7)",)
    found = judged(answers)
    assert found.verdict == "agrees"
    assert "torch: not in float64: aten.add: float32 (my_model.py:7)" in found.remarks[0]
    assert found.backends[2].short == answers["torch"].short


@pytest.mark.parametrize("name", ["output/first", "output/wide"])
def test_another_shape_is_told_whether_the_array_is_kept_whole_or_as_sums(tmp_path, name):
    def cut(kind, backend, state, arrays):
        if backend == "jax":
            arrays[name] = arrays[name][:5]

    found = judged(write(tmp_path, cut))
    (reason,) = (each.reason for each in found.backends if each.verdict == "departs")
    assert f"expected shape {SHAPES[name]}, as of tensorflow and torch; received (5, " in reason


def test_a_record_is_kept_and_read_as_it_was(tmp_path):
    found = judged(write(tmp_path))
    store.ready(tmp_path, "models")
    store.add(tmp_path, found)
    (kept,), left_out = store.load(tmp_path, "models")
    assert (kept, left_out) == (found, [])
    assert "AGREES" in render(compose(kept), "markdown")


@pytest.mark.parametrize(
    ("quantity", "layers"),
    [
        ("output/first", ("first",)),
        ("gradient/first/kernel", ("first", "bent", "last")),
        ("loss", ()),
        ("weight/normal/moving_mean", ()),
    ],
)
def test_layers_are_suspected_between_what_agrees_and_what_departs(tmp_path, quantity, layers):
    answers = write(tmp_path, at("", quantity))
    first = Verdicts(answers, judge(answers)).first["torch"]
    assert first.comparison.quantity == quantity
    assert model_proof.suspects(first) == layers


def test_the_layer_that_departs_on_the_references_inputs_is_the_culprit(tmp_path):
    files = tmp_path / "there.npz", tmp_path / "here.npz"
    there = {"bent/output 0": np.ones(4), "bent/gradient of input 0": np.arange(4.0)}
    np.savez(files[0], **there)
    np.savez(files[1], **there | {"bent/gradient of input 0": np.arange(4.0) * 1.001})
    said = model_proof.describe("jax", files, ("bent",), {"bent": "ReLU"})
    assert said == ("given jax's inputs, bent (ReLU) alone departs: gradient of input 0 by 0.001")
    np.savez(files[1], **there)
    assert "what reaches it differs" in model_proof.describe("jax", files, ("bent",), {})


def test_sums_keep_the_size_of_a_difference_wherever_it_lies():
    value = np.random.default_rng(3).standard_normal((50, 1000))
    assert sketch(value).shape == (LENGTH,)
    one, all_ = value.copy(), value + 1e-3 * np.random.default_rng(4).standard_normal(value.shape)
    one[17, 3] += 0.5
    for other in (one, all_):
        size = np.linalg.norm(sketch(other) - sketch(value))
        assert size == pytest.approx(np.linalg.norm(other - value), rel=0.05)
    assert not np.isfinite(sketch(np.where(value == value.max(), np.inf, value))).all()


@pytest.mark.parametrize(
    ("ratios", "departs"),
    [
        ((1, 5.8, 1, 1), []),
        ((1, 25, 1, 1), [1]),
        ((6, 5.8, 7, 6), [0, 1, 2, 3]),
        ((1, 6, 6, 1), [1, 2]),
        ((5.8,), [0]),
    ],
)
def test_a_kernel_that_stands_out_at_one_state_of_several_departs_only_far_out(ratios, departs):
    unit = 2.0**-24
    errors = [
        KernelError("output/last", "torch", 9 * each * unit, 9 * unit, unit) for each in ratios
    ]
    found = mark_once([Evidence(f"{n} updates", (), (one,)) for n, one in enumerate(errors)])
    assert [n for n, each in enumerate(found) if each.kernels[0].departs] == departs


@pytest.mark.parametrize(("ratio", "departs"), [(1.9, False), (2.1, True)])
def test_an_error_departs_where_more_than_half_of_it_is_the_layers_own(tmp_path, ratio, departs):
    def change(kind, backend, state, arrays):
        if kind == "rounded" and backend == "torch":
            arrays["training output/first"] = arrays["training output/first"] * (1 + 100 * U32)
            arrays["training output/bent"] = arrays["training output/bent"] * (
                1 + 100 * ratio * U32
            )

    evidence = judge(write(tmp_path, change, noise=U32))
    for one in evidence:
        named = {each.quantity for each in one.kernels if each.departs}
        assert "training output/first" in named
        assert ("training output/bent" in named) == departs


def test_what_is_off_on_every_backend_alike_hides_no_kernel_behind_it(tmp_path):
    def change(kind, backend, state, arrays):
        if kind == "rounded":
            arrays["training output/first"] = arrays["training output/first"] * (1 + 1000 * U32)
        if kind == "rounded" and backend == "torch":
            arrays["training output/bent"] = arrays["training output/bent"] * (1 + 100 * U32)

    for one in judge(write(tmp_path, change, noise=U32)):
        named = [(each.backend, each.quantity) for each in one.kernels if each.departs]
        assert named == [("torch", "training output/bent")]


@pytest.mark.parametrize(
    ("states", "size", "is_unclear"), [(1, 10, True), (1, 40, False), (2, 10, False)]
)
def test_one_state_leaves_open_what_stands_out_by_less_than_chance_may(
    tmp_path, monkeypatch, states, size, is_unclear
):
    monkeypatch.setattr("tests.parity.test_model_evidence.STATES", STATES[:states])
    change = at("", "output/first", kinds=("rounded",), by=1 + size * U32)
    evidence = judge(write(tmp_path, change, noise=U32))
    assert is_open(evidence) == is_unclear
