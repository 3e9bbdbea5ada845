"""Two sessions: which arms have become slower or faster since, and what must not be compared."""

import math
from dataclasses import replace

import pytest

from harness.experiments.gate import regression
from harness.experiments.gate.document import told
from harness.experiments.gate.regression import arm_changes
from harness.statistics.intervals import hodges_lehmann_shift
from tests.unit.benches import BASE, HOST, bench, entrant, start
from tests.unit.records import SPEC

JAX, AGAIN = "jax/keras", f"{BASE} again"
THREE = (BASE, JAX, AGAIN)


def remarks(head, base):
    return told(regression.remarks(head, base))


def why_incomparable(head, base):
    return told(regression.why_incomparable(head, base))


def with_ratios(ratio, floor=1.0, spread=0.004, n=8, day=1.0, floors=None):
    """A session whose generations differ a little; on another `day` the machine is slower."""

    def seconds(name, generation, _):
        away = math.exp(spread * (generation - (n + 1) / 2))
        return (
            day
            * {BASE: 1.0, JAX: ratio * away, AGAIN: floors[generation - 1] if floors else floor}[
                name
            ]
        )

    return bench(dict.fromkeys(THREE, 1.0), seconds=seconds, n_generations=n, n_blocks=2)


def only(head, base):
    (change,) = arm_changes(head, base)
    return change


@pytest.mark.parametrize(
    ("now", "floor", "trend", "reason"),
    [
        (0.55, 1.0, "regressed", ""),
        (0.45, 1.0, "improved", ""),
        (0.5, 1.0, "unchanged", ""),
        (0.508, 1.0, "inconclusive", "threshold"),
        (0.515, 1.04, "inconclusive", "this session is not sound"),
    ],
)
def test_trends(now, floor, trend, reason):
    found = only(with_ratios(now, floor), with_ratios(0.5))
    assert found.trend == trend, found
    assert reason in found.reason


@pytest.mark.parametrize("of_head", [True, False])
def test_a_change_no_larger_than_the_larger_floor_is_inconclusive_whichever_session_has_it(of_head):
    calm = {"spread": 0.0}
    loud = {
        "spread": 0.0,
        "floors": [0.98, 0.99, 1.0, 1.01, 1.07, 1.08, 1.09, 1.10],
    }  # 4 %, and its interval holds 1
    head, base = (loud, calm) if of_head else (calm, loud)
    assert only(with_ratios(0.515, **calm), with_ratios(0.5, **calm)).trend == "regressed"
    found = only(with_ratios(0.515, **head), with_ratios(0.5, **base))
    assert found.trend == "inconclusive"
    assert "no more than identical code differed by" in found.reason


@pytest.mark.parametrize("of_head", [True, False])
@pytest.mark.parametrize("now", [0.45, 0.5, 0.55])
def test_where_one_session_s_disturbances_could_not_be_seen_no_change_is_sure(now, of_head):
    head, base = with_ratios(now), with_ratios(0.5)
    assert only(head, base).trend != "inconclusive"
    first = (head if of_head else base).blocks[0]
    turns = {name: turn.model_copy(update={"others_s": None}) for name, turn in first.turns.items()}
    blocks = (first.model_copy(update={"turns": turns}), *(head if of_head else base).blocks[1:])
    unseen = (head if of_head else base).model_copy(update={"blocks": blocks})
    found = only(unseen, base) if of_head else only(head, unseen)
    assert (found.trend, found.unsound) == ("inconclusive", True)
    assert "disturbances cannot be seen" in found.reason


@pytest.mark.parametrize("of_head", [True, False])
def test_one_unsound_session_makes_every_change_inconclusive_however_far_the_other_s_floor_is(
    of_head,
):
    wide = with_ratios(0.9, floors=[0.90, 0.92, 1.0, 1.06, 1.1, 1.12, 1.14, 1.16])
    unsound = with_ratios(0.5, 1.03, spread=0.0)
    found = only(unsound, wide) if of_head else only(wide, unsound)
    assert found.trend == "inconclusive"
    assert "not sound" in found.reason


def test_without_a_pair_of_identical_arms_no_change_is_called_one():
    head = bench({BASE: 1.0, JAX: 0.9})
    assert only(head, bench({BASE: 1.0, JAX: 0.5})).trend == "inconclusive"


def test_a_machine_that_is_slower_that_day_is_no_regression():
    assert only(with_ratios(0.5, day=3.0), with_ratios(0.5)).trend == "unchanged"


def test_the_change_is_the_two_sample_shift_of_the_generations_logarithms():
    head, base = with_ratios(0.55, n=7), with_ratios(0.5, n=9, spread=0.01)
    found = only(head, base)
    logs = [math.log(0.55) + 0.004 * (g - 4) for g in range(1, 8)]
    before = [math.log(0.5) + 0.01 * (g - 5) for g in range(1, 10)]
    shift = hodges_lehmann_shift(before, logs)
    assert (found.change.low, found.change.mid, found.change.high) == pytest.approx(
        tuple(map(math.exp, (shift.low, shift.mid, shift.high)))
    )
    assert (found.base.mid, found.head.mid) == pytest.approx((0.5, 0.55))
    assert found.n_generations == (9, 7)


def test_too_few_generations_in_either_are_inconclusive_without_ends():
    for head, base in ((5, 8), (8, 5)):
        found = only(with_ratios(0.6, n=head), with_ratios(0.5, n=base))
        assert (found.trend, found.reason) == (
            "inconclusive",
            "5 generations; a 95 % interval needs 6",
        )
        assert math.isnan(found.change.low)
        assert found.change.mid == pytest.approx(1.2)


def test_an_arm_that_is_set_aside_now_is_inconclusive_with_its_reason():
    head = with_ratios(0.6)
    crashes = tuple(
        start(JAX, 1, process=number, status="failed", reason="crash") for number in (2, 3, 4)
    )
    found = only(head.model_copy(update={"starts": (*head.starts, *crashes)}), with_ratios(0.5))
    assert (found.trend, found.reason) == ("inconclusive", "set aside: crash")


def test_an_arm_that_came_to_mean_something_else_is_not_compared():
    changed = (entrant(BASE), entrant(JAX, options={"jit_compile": True}), entrant(AGAIN))
    head = with_ratios(0.6)
    head = head.model_copy(
        update={"session": head.session.model_copy(update={"entrants": changed})}
    )
    assert arm_changes(head, with_ratios(0.5)) == ()
    assert remarks(head, with_ratios(0.5)) == (
        f'{JAX}: keras_fit there, keras_fit {{"jit_compile": true}} here, so it is another arm',
    )


def test_an_arm_of_one_session_only_is_remarked():
    head, base = with_ratios(0.5), bench({BASE: 1.0, AGAIN: 1.0}, n_blocks=2)
    assert remarks(head, base) == (f"{JAX}: only here, so nothing is said of it",)
    assert remarks(base, head) == (f"{JAX}: only there, so nothing is said of it",)


# What must not be compared


def test_two_sessions_of_one_plan_on_one_machine_may_be_compared():
    assert (
        why_incomparable(
            bench(n_generations=6),
            bench(n_generations=10, run_id="other", started_at="later", seed=4),
        )
        == ()
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"host": replace(HOST, machine="Another, 64 cores")},
            "machine: A processor, 2 cores, 8 GiB, Linux x86_64 there, Another, 64 cores here",
        ),
        ({"threads": 1}, "threads: auto there, 1 here"),
        ({"cores": (0, 1)}, "cores: as threads has it there, 0, 1 here"),
        ({"device": "gpu"}, "device: cpu there, gpu here"),
        (
            {"spec": SPEC.model_copy(update={"batch_size": 64})},
            "spec batch_size: 128 there, 64 here",
        ),
        ({"baseline": JAX}, f"baseline: {BASE} (keras_fit) there, {JAX} (keras_fit) here"),
    ],
)
def test_what_must_not_differ_is_named_with_both(changes, sentence):
    assert why_incomparable(bench(**changes), bench()) == (sentence,)


def test_another_dataset_or_number_of_samples_must_not_be_compared():
    data = bench().session.data
    (said,) = why_incomparable(bench(data=data.model_copy(update={"sha256": "e" * 64})), bench())
    assert (
        said
        == "dataset: mnist (dddddddd), 60000 samples there, mnist (eeeeeeee), 60000 samples here"
    )
    assert len(why_incomparable(bench(data=data.model_copy(update={"n_train": 100})), bench())) == 1


def test_another_version_of_keras_must_not_be_compared():
    newer = {name: {"versions": {"keras": "3.16.0"}} for name in (BASE, JAX, AGAIN)}
    assert "keras: 3.15.1 there, 3.16.0 here" in why_incomparable(bench(starts=newer), bench())


def test_another_version_of_a_framework_may_be_compared_and_is_named():
    newer = {
        JAX: {
            "versions": {
                "keras": "3.15.1",
                "framework_version": "0.11.0",
                "numpy": "2.4.6",
                "python": "3.11.7",
            }
        }
    }
    head = bench(starts=newer)
    assert why_incomparable(head, bench()) == ()
    assert remarks(head, bench()) == ("jax: 0.10.2 there, 0.11.0 here",)


def test_another_version_of_the_harness_or_another_number_of_blocks_is_named():
    assert remarks(bench(harness="0.5.0", n_blocks=5), bench()) == (
        "harness: 0.4.0 there, 0.5.0 here",
        "blocks of a generation: 4 there, 5 here",
    )


def on(**known):
    """A session on a machine of the same description of which this is known besides."""
    nothing = {"identity": None, "boot": None}
    return bench(host=replace(HOST, **nothing | known))


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        ({"identity": "a" * 64}, {"identity": "a" * 64}, ()),
        (
            {"identity": "a" * 64},
            {"identity": "b" * 64},
            ("machine: not the same one there and here, only its description agrees",),
        ),
        (
            {"identity": "a" * 64},
            {},
            ("machine: only its description is known to agree: a session says nothing else of it",),
        ),
        (
            {},
            {},
            ("machine: only its description is known to agree: a session says nothing else of it",),
        ),
    ],
)
def test_sessions_of_machines_of_which_only_the_description_agrees_may_be_compared_with_a_remark(
    here, there, said
):
    assert why_incomparable(on(**here), on(**there)) == ()
    assert remarks(on(**here), on(**there)) == said


def test_another_content_of_an_environment_under_equal_versions_is_named_and_an_unknown_is_not():
    edited, healthy = ({JAX: {"environment_sha256": digit * 64}} for digit in "ab")
    head, base = bench(starts=edited), bench(starts=healthy)
    assert why_incomparable(head, base) == ()
    assert remarks(head, base) == ("content of jax's environment: bbbbbbbb there, aaaaaaaa here",)
    assert remarks(head, head) == remarks(head, bench()) == ()


def test_options_in_another_order_are_the_same_arm():
    options = {"mode": "compile", "fused": True}
    turned = dict(reversed(options.items()))
    sessions = []
    for each in (options, turned):
        entrants = tuple(entrant(name, options=each) for name in THREE)
        whole = with_ratios(0.5)
        sessions.append(
            whole.model_copy(
                update={"session": whole.session.model_copy(update={"entrants": entrants})}
            )
        )
    assert list(turned) != list(options)
    assert why_incomparable(*sessions) == remarks(*sessions) == ()
    assert [change.name for change in arm_changes(*sessions)] == [JAX]
