"""What a bench session says: which turns count, which verdict follows, and who wins. Each rule has
a case that only it decides.
"""

import math
from dataclasses import replace

import pytest

from harness.experiments.bench.export import reasons
from harness.experiments.bench.judge import limit_s, summarize
from harness.experiments.bench.lead_document import lead_sentences
from harness.experiments.bench.remarks import SENTENCES
from harness.records.parity import ArmParity, Parity
from harness.report.remarks import sentence_of
from tests.unit.benches import (
    BASE,
    DATA,
    HOST,
    RATES,
    VERSIONS,
    bench,
    block,
    end,
    entrant,
    session,
    start,
    turn,
)
from tests.unit.records import SPEC

JAX, AGAIN = "jax/keras", f"{BASE} again"
THREE = (BASE, JAX, AGAIN)


def told(found):
    return tuple(sentence_of(remark, SENTENCES) for remark in found.remarks)


def arm(made, name=JAX, **arguments):
    return next(arm for arm in summarize(made, **arguments).arms if arm.name == name)


def with_ratios(ratios, floors=(1.0,) * 8, n_blocks=2):
    """A session in which JAX's and the duplicate's epochs are to the baseline's as given,
    generation by generation.
    """

    def seconds(name, generation, _):
        return {BASE: 1.0, JAX: ratios[generation - 1], AGAIN: floors[generation - 1]}[name]

    return bench(
        dict.fromkeys(THREE, 1.0), seconds=seconds, n_generations=len(ratios), n_blocks=n_blocks
    )


def around(mid, spread=0.002, n=8):
    """Return n ratios symmetric about `mid`."""
    return [mid * math.exp(spread * (place - (n - 1) / 2)) for place in range(n)]


def changed(made, change):
    """The session with each block changed, or left out where `change` gives None."""
    blocks = (change(block) for block in made.blocks)
    return made.model_copy(update={"blocks": tuple(block for block in blocks if block is not None)})


# Which turns count


def test_an_arm_s_ratio_is_over_generations_of_the_median_over_blocks_of_pairs():
    factor = {1: 1.0, 2: 4.0, 3: 9.0}  # what happens to the machine in a block happens to both

    def seconds(name, generation, number):
        alone = 5.0 if (name, number) == (JAX, 3) else 1.0  # one outlier of three
        return (0.5 if name == JAX else 1.0) * factor[number] * generation * alone

    found = arm(bench(dict.fromkeys(THREE, 1.0), seconds=seconds, n_blocks=3))
    assert (found.ratio.low, found.ratio.mid, found.ratio.high) == pytest.approx((0.5, 0.5, 0.5))
    assert (found.n_generations, found.n_blocks) == (8, 24)


def test_invalid_blocks_count_in_no_estimate_and_are_counted_by_reason():
    made = with_ratios(around(0.5), n_blocks=4)
    calm, loud, cut = turn(7.0), turn(7.0, others_s=0.6), turn(7.0, n_cores=1)
    spoilt = [
        block(
            3,
            number,
            {},
            attempt=2,
            order=THREE,
            invalid="why",
            turns=dict(zip(THREE, each, strict=True)),
        )
        for number, each in ((1, (calm, loud, calm)), (2, (loud, cut, calm)))
    ]
    found = summarize(made.model_copy(update={"blocks": (*made.blocks, *spoilt)}))
    assert found.arms == summarize(made).arms
    assert found.n_invalid == 2
    assert reasons(found) == (
        "other processes used … % of the cores, at most 10 % allowed (2 times)",
        "a core was taken away: … of 2 left (1 time)",
    )


def test_of_several_valid_attempts_at_a_block_the_last_counts_and_nothing_counts_twice():
    made = with_ratios(around(0.5), n_blocks=1)
    earlier = [
        each.model_copy(update={"turns": dict.fromkeys(THREE, turn(9.0))}) for each in made.blocks
    ]
    later = [each.model_copy(update={"attempt": 2}) for each in made.blocks]
    found = summarize(made.model_copy(update={"blocks": (*later, *earlier)}))
    assert found.arms == summarize(made).arms
    assert found.arms[1].n_blocks == 8


def test_blocks_of_several_processes_of_a_generation_belong_to_that_generation():
    made = with_ratios(around(0.5), n_blocks=4)
    resumed = changed(
        made,
        lambda each: each.model_copy(
            update={"processes": dict.fromkeys(THREE, 1 + each.block // 3)}
        ),
    )
    restarted = tuple(
        start(name, generation, process=2) for name in THREE for generation in range(1, 9)
    )
    found = summarize(resumed.model_copy(update={"starts": (*made.starts, *restarted)}))
    assert [each.ratio for each in found.arms] == [each.ratio for each in summarize(made).arms]
    assert found.arms[1].n_generations == 8


def test_only_blocks_where_both_took_a_turn_make_a_pair():
    made = with_ratios(around(0.5), n_blocks=4)

    def without(each):  # where JAX is missing the baseline takes nine times as long
        if each.block > 2:
            return each
        return each.model_copy(update={"turns": {BASE: turn(9.0), AGAIN: turn(9.0)}})

    assert arm(changed(made, without)).ratio == arm(made).ratio
    assert arm(changed(made, without)).n_blocks == 16


def test_a_generation_with_fewer_than_half_of_its_blocks_does_not_count():
    made = with_ratios([*around(0.5), 0.9, 0.9], floors=(1.0,) * 10, n_blocks=5)

    def kept(n):
        return changed(
            made,
            lambda each: (
                each
                if each.generation <= 8 or each.block <= n
                else each.model_copy(update={"invalid": "load"})
            ),
        )

    assert arm(kept(2)).n_generations == 8
    assert arm(kept(2)).ratio == arm(with_ratios(around(0.5), n_blocks=5)).ratio
    assert arm(kept(3)).n_generations == 10
    assert any("generations 9, 10 do not count" in remark for remark in told(summarize(kept(2))))


def test_a_turn_that_a_stopped_clock_gives_no_seconds_counts_nowhere():
    made = changed(
        with_ratios(around(0.5), n_blocks=3),
        lambda each: (
            each
            if each.block > 1
            else each.model_copy(update={"turns": {**each.turns, JAX: turn(0.0)}})
        ),
    )
    assert arm(made).n_blocks == 16


def test_the_epoch_is_the_median_of_turns_and_its_interval_over_generations():
    found = arm(bench({BASE: 2.0, JAX: 0.5, AGAIN: 2.0}, process=0.02, noise=0.01, n_blocks=5))
    assert found.epoch_s.low < found.epoch_s.mid < found.epoch_s.high
    assert found.epoch_s.mid == pytest.approx(0.5, rel=0.03)


def test_one_turn_in_three_that_was_held_up_does_not_move_the_epoch():
    made = bench(
        dict.fromkeys(THREE, 1.0),
        seconds=lambda name, generation, number: 30.0 if number == 2 else 0.5,
        n_blocks=3,
    )
    assert arm(made).epoch_s.mid == pytest.approx(0.5)


# Verdicts


@pytest.mark.parametrize(
    ("ratios", "floors", "verdict", "reason"),
    [
        (around(0.9), around(1.0), "faster", ""),
        (around(1.1), around(1.0), "slower", ""),
        (around(1.0), around(1.0), "same", ""),
        (around(1.01), around(1.0), "same", ""),  # excludes 1, and is of no consequence
        (around(1.0201, 1e-6), around(1.0), "slower", ""),
        (around(1.0199, 1e-6), around(1.0), "same", ""),
        (around(1.06, 0.03), around(1.0), "inconclusive", "holds 1"),
        (around(1.017, 0.004), around(1.0), "inconclusive", "below the threshold of 2.0 %"),
        (
            around(1.03),
            around(1.04, 0.02),
            "inconclusive",
            "no more than identical code differed by, 4.0 %",
        ),
        (
            around(1.03),
            around(1 / 1.04, 0.02),
            "inconclusive",
            "no more than identical code differed by",
        ),
        (around(1.05), around(1.04, 0.02), "slower", ""),
        (
            around(0.5),
            around(1.02),
            "faster",
            "",
        ),  # identical code may have differed by no more than the threshold
        (around(0.5), around(1.06), "inconclusive", "identical code differed by 6.0 %"),
        (around(1.0), around(0.94), "inconclusive", "this session is not sound"),
        (
            around(0.5, n=5),
            around(1.0, n=5),
            "inconclusive",
            "5 generations; a 95 % interval needs 6",
        ),
        (around(0.5, n=6), around(1.0, n=6), "faster", ""),
    ],
)
def test_verdicts(ratios, floors, verdict, reason):
    found = arm(with_ratios(ratios, floors))
    assert found.verdict == verdict, found
    assert reason in found.reason
    assert bool(found.reason) == (verdict == "inconclusive")


def test_whichever_arm_is_the_baseline_the_verdicts_mirror_each_other():
    mirrored = {
        "faster": "slower",
        "slower": "faster",
        "same": "same",
        "inconclusive": "inconclusive",
    }
    for mid in (0.95, 0.979, 0.981, 0.985, 1.0, 1.015, 1.019, 1.021, 1.05):
        there, back = (arm(with_ratios(around(value, 0.0005))).verdict for value in (mid, 1 / mid))
        assert back == mirrored[there]


def test_with_too_few_generations_the_estimates_have_no_ends():
    found = summarize(with_ratios(around(0.5, n=4), around(1.0, n=4)))
    for interval in (found.floor, found.arms[1].ratio, found.arms[1].epoch_s):
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)
    assert found.arms[1].ratio.mid == pytest.approx(0.5)
    assert lead_sentences(found.lead).startswith(
        "Inconclusive: 4 generations; a 95 % interval needs 6."
    )


def test_load_from_outside_makes_a_session_inconclusive_and_never_wrong():
    made = with_ratios(around(0.5), n_blocks=4)
    loaded = changed(
        made,
        lambda each: (
            each
            if each.block == 1 or each.generation <= 5
            else each.model_copy(update={"invalid": "load"})
        ),
    )
    found = summarize(loaded)
    assert (found.arms[1].verdict, found.arms[1].n_generations) == ("inconclusive", 5)
    assert lead_sentences(found.lead).startswith("Inconclusive")


def test_without_a_pair_of_identical_arms_nothing_is_called_different():
    found = summarize(bench({BASE: 1.0, JAX: 0.5}))
    assert (found.floor, found.arms[1].verdict) == (None, "inconclusive")
    assert any("no arm is in it twice" in remark for remark in told(found))


def test_an_unsound_session_says_so_in_a_remark_and_in_its_sentence():
    found = summarize(with_ratios(around(0.5), around(1.06)))
    assert any("identical code differed by 6.0 %" in remark for remark in told(found))
    assert lead_sentences(found.lead).startswith("Inconclusive: identical code differed by 6.0 %")


def test_an_arm_that_crashed_too_often_is_set_aside_with_its_reason_and_never_reigns():
    made = bench({BASE: 1.0, JAX: 0.5, AGAIN: 1.0})
    crashes = tuple(
        start(JAX, 1, process=number, status="failed", reason=f"crash {number}")
        for number in (2, 3, 4)
    )
    found = summarize(made.model_copy(update={"starts": (*made.starts, *crashes)}))
    assert (found.arms[1].verdict, found.arms[1].reason) == ("set aside", "crash 4")
    assert [reign.name for reign in found.lead.reigns] == [BASE]


def test_a_process_that_failed_and_began_anew_is_remarked():
    made = bench()
    failed = start(JAX, 1, process=2, status="failed", reason="killed by signal 9")
    remarks = told(summarize(made.model_copy(update={"starts": (*made.starts, failed)})))
    assert f"{JAX}: 1 process failed and began anew: killed by signal 9" in remarks


def test_the_duplicate_is_no_row_and_never_reigns():
    found = summarize(bench({BASE: 1.0, JAX: 2.0, AGAIN: 0.99}))
    assert [each.name for each in found.arms] == [BASE, JAX]
    assert [reign.name for reign in found.lead.reigns] == [BASE]
    assert found.floor.mid == pytest.approx(0.99)


def test_the_baseline_is_its_own_measure():
    found = arm(bench(), BASE)
    assert (found.verdict, found.accuracy, found.break_even) == ("baseline", None, None)
    assert (found.ratio.low, found.ratio.mid, found.ratio.high) == (1.0, 1.0, 1.0)


def test_a_session_of_which_nothing_is_measured_yet_has_a_standing():
    found = summarize(
        bench(n_generations=8).model_copy(update={"starts": (), "blocks": (), "ends": ()})
    )
    assert lead_sentences(found.lead).startswith("Nothing can be said yet")
    assert [each.verdict for each in found.arms] == ["baseline", "inconclusive"]
    assert found.arms[1].reason == "0 generations; a 95 % interval needs 6"


# Other figures


def test_what_an_arm_costs_over_its_backend_s_fit_is_paired_too():
    made = bench(
        {BASE: 1.0, "jax/keras": 0.6, "jax/compiled": 0.3, "torch/native": 0.4, AGAIN: 1.0}
    )
    assert arm(made, "jax/compiled").to_fit.mid == pytest.approx(0.5)
    assert [arm(made, name).to_fit for name in (BASE, "jax/keras", "torch/native")] == [
        None,
        None,
        None,
    ]


def test_compiling_is_the_first_epoch_less_a_steady_one_and_never_less_than_nothing():
    made = bench(
        {BASE: 1.0, JAX: 0.5, AGAIN: 1.0},
        starts={BASE: {"first_epoch_s": 0.9}, JAX: {"first_epoch_s": 3.0}},
    )
    assert arm(made).compile_s == pytest.approx(2.5)
    assert arm(made, BASE).compile_s == 0.0


def test_starts_are_medians_of_processes_that_went_well():
    made = bench()
    failed = tuple(start(JAX, 9, status="failed", total_s=500.0) for _ in range(2))
    starts = tuple(
        each.model_copy(update={"total_s": 10.0 + each.generation**2}) for each in made.starts
    )
    assert (
        arm(made.model_copy(update={"starts": (*starts, *failed)})).start_s == 10.0 + (16 + 25) / 2
    )


def test_break_even_and_reigns_follow_from_starts_and_epochs():
    made = bench(
        {BASE: 1.0, JAX: 0.5, AGAIN: 1.0}, starts={BASE: {"total_s": 5.0}, JAX: {"total_s": 9.9}}
    )
    found = summarize(made)
    assert found.arms[1].break_even == 11  # 5 + 10 x 1.0 = 15; 9.9 + 10 x 0.5 = 14.9
    assert [(reign.name, reign.from_epoch, reign.to_epoch) for reign in found.lead.reigns] == [
        (BASE, 1, 10),
        (JAX, 11, None),
    ]


def test_the_share_of_the_limit_is_each_generation_s_own():
    made = bench({BASE: 1.0, JAX: 0.5, AGAIN: 1.0})
    limit = limit_s(SPEC, 784, 60_000, RATES)
    assert arm(made).share_of_limit.mid == pytest.approx(limit / 0.5)
    slow = replace(RATES, gemm_flops_per_s=1e10)
    ends = tuple(
        end(JAX, generation, rates=slow if generation <= 4 else RATES) for generation in range(1, 9)
    )
    assert arm(made.model_copy(update={"ends": ends})).share_of_limit.high == pytest.approx(
        limit_s(SPEC, 784, 60_000, slow) / 0.5
    )
    assert arm(made.model_copy(update={"ends": ()})).share_of_limit is None


def test_accuracy_is_compared_generation_by_generation():
    draws = (
        0.970,
        0.975,
        0.980,
        0.985,
        0.972,
        0.978,
        0.983,
        0.979,
    )  # far more than the margin, and the same for both
    ends = tuple(
        end(name, g, test_accuracy=value + (0.0004 * (-1) ** g if name == JAX else 0))
        for name in THREE
        for g, value in enumerate(draws, 1)
    )
    found = arm(bench().model_copy(update={"ends": ends}))
    assert found.accuracy.verdict == "equivalent"
    assert found.test_accuracy[0] == pytest.approx(sum(draws) / 8)
    worse = tuple(
        each.model_copy(update={"test_accuracy": each.test_accuracy - 0.01})
        if each.name == JAX
        else each
        for each in ends
    )
    assert arm(bench().model_copy(update={"ends": worse})).accuracy.verdict == "different"


def test_a_generation_that_ended_twice_has_one_accuracy_the_last():
    made = bench()
    again = end(JAX, 1, process=2, test_accuracy=0.5)
    first = arm(made.model_copy(update={"ends": (again, *made.ends)}))
    assert first.test_accuracy[0] == pytest.approx((0.5 + 7 * 0.98) / 8)


def test_an_end_that_failed_gives_no_accuracy_to_compare_with():
    failed = end(BASE, 1, process=2, status="failed", test_accuracy=0.1)
    made = bench()
    assert (
        arm(made.model_copy(update={"ends": (*made.ends, failed)})).accuracy == arm(made).accuracy
    )


def test_one_generation_has_no_standard_deviation():
    mean, sd = arm(bench(n_generations=1)).test_accuracy
    assert mean == 0.98
    assert math.isnan(sd)


def test_memory_is_the_largest_by_label_and_energy_the_median_where_there_is_a_counter():
    made = bench()
    failed = end(JAX, 9, status="failed", memory_bytes={"peak RSS": 99})
    ends = (
        failed,
        *(end(JAX, g, memory_bytes={"peak RSS": g, "NVML used": 10 - g}) for g in range(1, 9)),
    )
    counted = changed(
        made,
        lambda each: each.model_copy(
            update={"turns": {**each.turns, JAX: turn(0.5, energy_j=float(each.generation))}}
        ),
    )
    found = arm(counted.model_copy(update={"ends": ends}))
    assert found.memory_bytes == {"peak RSS": 8, "NVML used": 9}
    assert found.energy_j == 4.5
    assert arm(made).energy_j is None


def test_turns_that_compiled_are_counted_and_remarked():
    made = changed(
        bench(),
        lambda each: each.model_copy(
            update={"turns": {**each.turns, JAX: turn(0.5, n_compiles=1)}}
        ),
    )
    assert arm(made).n_compiles_steady == 32
    assert f"compiled after the first epoch, so its epoch time holds compilation: {JAX}" in told(
        summarize(made)
    )


def test_own_cost_is_handed_through():
    assert summarize(bench(), own_cost=0.02).own_cost == 0.02


# Parity


def check(verdict, **changes):
    versions = {"keras": "3.15.1", "framework_version": "0.10.2", "numpy": "2.4.6"}
    plain = {
        "backend": "jax",
        "implementation": "keras",
        "module": "keras_fit",
        "device": "cpu",
        "versions": versions,
        "verdict": verdict,
    }
    return Parity(
        **{
            "harness": "0.4.0",
            "run_id": "p",
            "spec_name": "mnist-mlp",
            "spec": SPEC,
            "seed": 0,
            "data": DATA,
            "device": "cpu",
        }
        | {
            "threads": "auto",
            "host": HOST,
            "started_at": "2026-01-02T03:04:05.678+00:00",
            "total_s": 1.0,
            "verdict": "agrees",
        }
        | {"arms": (ArmParity(**plain | changes),)}
    )


def test_the_newest_verdict_of_the_same_arm_versions_device_and_machine_stands_beside_it():
    older = check("agrees").model_copy(update={"started_at": "2025-01-01T00:00:00.000+00:00"})
    assert arm(bench(), parities=[check("departs"), older]).parity == "departs"
    assert arm(bench(), parities=[check("agrees")]).parity == "agrees"


@pytest.mark.parametrize(
    "other",
    [
        check("agrees", module="native.jax"),
        check("agrees", device="gpu"),
        check(
            "agrees", versions={"keras": "3.15.1", "framework_version": "0.9.0", "numpy": "2.4.6"}
        ),
        check("agrees").model_copy(update={"harness": "0.3.0"}),
        check("agrees").model_copy(update={"host": replace(HOST, machine="Another, 64 cores")}),
        check("agrees").model_copy(update={"spec": SPEC.model_copy(update={"batch_size": 64})}),
    ],
    ids=["module", "device", "version", "harness", "machine", "spec"],
)
def test_a_verdict_on_anything_else_says_nothing(other):
    assert arm(bench(), parities=[other]).parity == "not checked"


def test_an_arm_that_departs_never_reigns_and_is_remarked():
    found = summarize(bench(), [check("departs")])
    assert [reign.name for reign in found.lead.reigns] == [BASE]
    assert any(remark.startswith(f"{JAX}: departs") for remark in told(found))


# Numbers before speed: what bars an arm from leading


def with_accuracy(made, name, accuracy):
    """The session in which an arm's models all came to that accuracy."""
    ends = (
        each.model_copy(update={"test_accuracy": accuracy}) if each.name == name else each
        for each in made.ends
    )
    return made.model_copy(update={"ends": tuple(ends)})


@pytest.mark.parametrize("accuracy", [0.10, 0.9774, 0.9826])
def test_an_arm_of_another_accuracy_never_leads_is_marked_and_is_remarked(accuracy):
    found = summarize(with_accuracy(bench(), JAX, accuracy))
    assert found.arms[1].accuracy.verdict == "different"
    assert [reign.name for reign in found.lead.reigns] == [BASE]
    assert JAX not in lead_sentences(found.lead).partition(" checked against the referee")[0]
    (remark,) = [
        said for said in told(found) if said.startswith(f"{JAX}: its accuracy is different")
    ]
    assert (
        f"{abs(accuracy - 0.98) * 100:.2f} points {'lower' if accuracy < 0.98 else 'higher'} than "
        "the baseline's" in remark
    )


def test_an_accuracy_that_is_the_same_or_cannot_be_told_bars_nobody():
    for accuracy in (0.98, 0.9776, 0.9824):
        assert summarize(with_accuracy(bench(), JAX, accuracy)).lead.reigns[-1].name == JAX
    one = with_accuracy(
        bench(n_generations=1), JAX, 0.5
    )  # one pair: nothing to estimate the noise by
    assert arm(one).accuracy.verdict == "inconclusive"
    assert summarize(one).lead.reigns[-1].name == JAX


@pytest.mark.parametrize("verdict", ["departs", "failed"])
def test_an_arm_whose_parity_departs_or_failed_never_leads_and_is_remarked(verdict):
    found = summarize(bench(), [check(verdict)])
    assert [reign.name for reign in found.lead.reigns] == [BASE]
    assert any(remark.startswith(f"{JAX}: ") for remark in told(found))
    assert found.arms[1].other_numbers


def test_an_arm_of_other_numbers_is_not_in_the_sentence_on_fit():
    names = {BASE: 1.0, JAX: 0.5, "torch/keras": 0.8, "torch/compiled": 0.7, AGAIN: 1.0}
    assert lead_sentences(summarize(bench(names)).lead).startswith(f"With compile and fit: {JAX}; ")
    found = summarize(with_accuracy(bench(names), JAX, 0.1))
    assert lead_sentences(found.lead).startswith("With compile and fit: torch/keras; ")
    assert JAX not in lead_sentences(found.lead).partition(" checked against the referee")[0]


def test_an_arm_that_is_not_checked_leads_only_with_the_sentence_that_says_so():
    assert (
        "No arm was checked against the referee, so equal numbers are not known"
        in lead_sentences(summarize(bench()).lead)
    )
    base = check(
        "agrees",
        backend="tensorflow",
        versions={"keras": "3.15.1", "framework_version": "2.21.0", "numpy": "2.4.6"},
    )
    found = summarize(bench(), [base])
    assert found.lead.reigns[-1].name == JAX
    assert f"{JAX}: not checked against the referee" in lead_sentences(found.lead)
    assert "not checked" not in lead_sentences(summarize(bench(), [base, check("agrees")]).lead)


def test_where_every_arm_has_other_numbers_none_leads_and_the_sentence_says_why():
    base = check(
        "departs",
        backend="tensorflow",
        versions={"keras": "3.15.1", "framework_version": "2.21.0", "numpy": "2.4.6"},
    )
    found = summarize(bench(), [base, check("failed")])
    assert found.lead.reigns == ()
    assert lead_sentences(found.lead).startswith(
        "No arm can lead: of every arm that was timed the numbers are known to be others"
    )


# All comparisons of a session together


def among(others, ratio=0.97):
    """A session in which JAX takes a little less time, and so many other arms take the baseline's,
    with the noise of a quiet machine.
    """
    epochs = {BASE: 1.0, JAX: ratio} | {f"torch/a{number}": 1.0 for number in range(others)}
    return bench(epochs | {AGAIN: 1.0}, process=0.016, draw=3, n_generations=10, n_blocks=1)


def test_what_is_sure_by_itself_is_not_sure_among_many_comparisons_and_the_reason_says_so():
    few, many = arm(among(0)), arm(among(10))
    assert (few.verdict, many.verdict) == ("faster", "inconclusive")
    assert many.ratio.excludes(1.0)  # what is shown stays the interval of this comparison alone
    assert (
        "excludes 1 by itself, but not with 95 % confidence for all comparisons of this session "
        "together" in many.reason
    )
    assert many.p_together > 0.05
    assert arm(among(10, ratio=0.9)).verdict == "faster"


def test_the_repeated_arm_is_no_comparison_of_the_family():
    made = among(1)
    noisier = changed(
        made,
        lambda each: each.model_copy(
            update={"turns": {**each.turns, AGAIN: turn(1.0 + each.generation % 2 / 99)}}
        ),
    )
    assert arm(noisier).p_together == arm(made).p_together


# An arm of each backend twice


TWICE = "torch/keras again"


def of_each(floors=(1.0,) * 8, torch=0.9, **changes):
    """A session in which the baseline and an arm of PyTorch run twice, the latter's second process
    as given to the first.
    """
    names = (BASE, JAX, "torch/keras", "torch/compiled", AGAIN, TWICE)

    def seconds(name, generation, _):
        plain = {BASE: 1.0, AGAIN: 1.0, JAX: 0.5, "torch/keras": torch, "torch/compiled": 0.8}
        return plain[name] if name != TWICE else torch * floors[generation - 1]

    return bench(
        dict.fromkeys(names, 1.0),
        seconds=seconds,
        n_blocks=2,
        again=AGAIN,
        repeats=(TWICE,),
        **changes,
    )


def test_every_repeated_arm_is_a_floor_and_none_is_a_row_or_leads():
    found = summarize(of_each())
    assert [each.name for each in found.arms] == [BASE, JAX, "torch/keras", "torch/compiled"]
    assert (found.floor.mid, {name: each.mid for name, each in found.floors.items()}) == (
        1.0,
        {"torch/keras": 1.0},
    )
    assert TWICE not in lead_sentences(found.lead)
    assert found.arms[3].to_fit.mid == pytest.approx(0.8 / 0.9)


def test_a_noisy_backend_s_own_floor_speaks_for_its_arms_and_for_no_other():
    noisy = [
        1.06 + 0.001 * number for number in range(8)
    ]  # identical code of PyTorch's differs by 6 %
    found = {each.name: each for each in summarize(of_each(noisy)).arms}
    assert found[JAX].verdict == "faster"
    for name in ("torch/keras", "torch/compiled"):
        assert found[name].verdict == "inconclusive"
        assert "identical code differed by 6." in found[name].reason
    assert any(
        said.startswith("torch/keras: identical code differed by 6.")
        for said in told(summarize(of_each(noisy)))
    )
    calm = {each.name: each.verdict for each in summarize(of_each()).arms}
    assert calm["torch/keras"] == calm["torch/compiled"] == "faster"


def test_a_difference_within_a_backend_s_own_floor_is_inconclusive():
    wide = [0.94, 0.96, 1.0, 1.02, 1.1, 1.12, 1.14, 1.16]  # 5 %, and its interval holds 1
    found = summarize(of_each(wide, torch=0.97)).arms[2]
    assert (found.verdict, "no more than identical code differed by" in found.reason) == (
        "inconclusive",
        True,
    )
    assert summarize(of_each(torch=0.97)).arms[2].verdict == "faster"


# Remarks


def besides_parity(made):
    """What is remarked besides that nobody has checked these arms."""
    return tuple(said for said in told(summarize(made)) if "parity is not checked" not in said)


def test_an_ordinary_session_whose_arms_were_checked_needs_no_remark():
    versions = {"keras": "3.15.1", "framework_version": VERSIONS["tensorflow"], "numpy": "2.4.6"}
    fits = check("agrees", backend="tensorflow", versions=versions), check("agrees")
    assert told(summarize(bench(), fits)) == ()


def test_arms_that_nobody_has_checked_are_named():
    assert told(summarize(bench(), [check("agrees")])) == (
        f"{BASE}: parity is not checked, so a time may be that of other numbers. Type: harness "
        "parity --quick",
    )


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"weights_sha256": "c" * 64}, "inputs differ"),
        ({"order_sha256": "c" * 64}, "inputs differ"),
        ({"data_sha256": "c" * 64}, "inputs differ"),
        ({"settings": {"tf32": True, "precision": "float32"}}, "tf32 differs (False, True)"),
        (
            {"device": "gpu: NVIDIA H200"},
            f"devices differ, so arms are compared with what they ran on: cpu: {BASE}, {AGAIN}; "
            "gpu",
        ),
        ({"versions": {"keras": "3.16.0"}}, "Keras differs between environments (3.15.1, 3.16.0)"),
    ],
)
def test_what_makes_arms_less_comparable_is_remarked(changes, remark):
    assert any(remark in said for said in told(summarize(bench(starts={JAX: changes}))))


def test_weights_that_differ_from_generation_to_generation_are_as_planned():
    made = bench()
    starts = tuple(
        each.model_copy(update={"weights_sha256": f"{each.generation}" * 64})
        for each in made.starts
    )
    assert besides_parity(made.model_copy(update={"starts": starts})) == ()


def test_a_generation_that_is_under_way_is_not_called_lost():
    made = bench(n_blocks=5)
    assert (
        besides_parity(
            changed(made, lambda each: each if each.generation < 8 or each.block == 1 else None)
        )
        == ()
    )


def test_native_inputs_are_said_to_be_as_asked():
    native = SPEC.model_copy(update={"inputs": "native"})
    made = bench(spec=native, starts={JAX: {"weights_sha256": "c" * 64}})
    assert any(said.startswith("native inputs") for said in told(summarize(made)))


def test_an_arm_that_changed_its_version_in_between_is_remarked():
    made = bench()
    later = {"keras": "3.15.1", "framework_version": "0.11.0", "numpy": "2.4.6", "python": "3.11.7"}
    starts = tuple(
        each.model_copy(update={"versions": later})
        if (each.name, each.generation) == (JAX, 8)
        else each
        for each in made.starts
    )
    said = besides_parity(made.model_copy(update={"starts": starts}))
    assert said == (
        f"{JAX}: its processes ran under different versions of framework_version: its generations "
        "are not of one arm",
    )


def test_time_after_the_last_update_is_remarked_from_a_twentieth_on():
    def torn(share):
        return changed(
            bench(),
            lambda each: each.model_copy(
                update={"turns": {**each.turns, JAX: turn(1.0, teardown_s=share)}}
            ),
        )

    assert any(
        "6% of its epoch time is fit taking its input pipeline down" in said
        for said in told(summarize(torn(0.06)))
    )
    assert besides_parity(torn(0.04)) == ()


def test_a_duplicate_that_is_set_aside_is_remarked():
    made = bench()
    crashes = tuple(
        start(AGAIN, 1, process=number, status="failed", reason="out of memory")
        for number in (2, 3, 4)
    )
    found = summarize(made.model_copy(update={"starts": (*made.starts, *crashes)}))
    assert any(
        "was set aside, and with it what says how far identical code differs: out of memory" in said
        for said in told(found)
    )


def test_the_builder_s_plan_has_its_names():
    assert session(THREE).again == AGAIN
    assert entrant(AGAIN).backend == "tensorflow"


def test_a_rate_that_was_disturbed_in_one_process_does_not_lower_its_backend_s_limit():
    names = {"jax/keras": 1.0, "jax/compiled": 0.5, "jax/keras again": 1.0}
    slow = {
        "rates": replace(RATES, gemm_flops_per_s=1e9, bandwidth_bytes_per_s=1e8, dispatch_s=1.0)
    }
    quiet, disturbed = (
        summarize(bench(names, ends=ends)).arms[1].share_of_limit
        for ends in ({}, {"jax/compiled": slow})
    )
    assert quiet == disturbed


def unseen(made, entrant=JAX):
    """The session on a system that does not show what others do beside one entrant's turns."""

    def change(each):
        turns = each.turns | {entrant: each.turns[entrant].model_copy(update={"others_s": None})}
        return each.model_copy(update={"turns": turns})

    return changed(made, change)


@pytest.mark.parametrize("entrant_name", THREE)
@pytest.mark.parametrize("mid", [0.5, 1.0, 2.0])
def test_where_disturbances_cannot_be_seen_nothing_is_surer_than_inconclusive(mid, entrant_name):
    made = with_ratios(around(mid))
    assert arm(made).verdict in ("faster", "same", "slower")
    found = summarize(unseen(made, entrant_name))
    assert {each.verdict for each in found.arms} == {"baseline", "inconclusive"}
    said = "this system does not show what other processes do, so disturbances cannot be seen"
    assert found.arms[1].reason == said
    assert f"{said}: nothing here is surer than inconclusive" in told(found)
    assert said in lead_sentences(found.lead)


def test_what_was_not_seen_in_a_block_that_does_not_count_makes_nothing_less_sure():
    made = with_ratios(around(0.5))
    blocks = [
        each.model_copy(update={"attempt": 2, "invalid": "x"}) for each in unseen(made).blocks
    ]
    assert arm(made.model_copy(update={"blocks": (*made.blocks, *blocks)})).verdict == "faster"
