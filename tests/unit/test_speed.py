"""Records become tables: what may be compared stands together, and what stands together may be
compared.
"""

import dataclasses
import itertools
import statistics
from dataclasses import replace

import pytest

from harness.errors import ConfigError
from harness.experiments.train.document import SENTENCES, compose
from harness.experiments.train.judge import compare, differences
from harness.report.remarks import sentence_of
from harness.report.renderers import render
from harness.statistics.intervals import Spread
from tests.unit.records import SPEC, record


def told(found):
    return tuple(sentence_of(remark, SENTENCES) for remark in found.remarks)


def at(minute):
    return f"2026-01-02T03:{minute:02}:00.000+00:00"


def only_table(*records, baseline=None):
    (table,) = compare(records, baseline)
    return table


def only_row(*records):
    (row,) = only_table(*records).rows
    return row


FAILED = {
    "status": "failed",
    "reason": "no result within its time limit of 1800 s; last heard of: build",
}
DIVERGED = {
    "status": "diverged",
    "reason": "diverged: the loss became nan in epoch 3 of 3",
    "epoch_s": (9.0, 9.0),
    "epochs": 3,
}

# One row an arm


def test_no_records_make_no_table():
    assert compare([]) == ()


def test_each_arm_has_one_row_however_often_it_ran():
    runs = [
        record(backend=backend, seed=seed, started_at=at(seed))
        for backend in ("jax", "torch")
        for seed in range(3)
    ]
    assert sorted(row.name for row in only_table(*runs).rows) == ["jax/keras", "torch/keras"]


def test_each_implementation_of_a_backend_is_an_arm_of_its_own():
    runs = [record(implementation="keras"), record(implementation="native", module="native.jax")]
    assert sorted(row.name for row in only_table(*runs).rows) == ["jax/keras", "jax/native"]


def test_one_arm_on_two_devices_has_a_row_for_each():
    rows = only_table(
        record(device="cpu"), record(device="gpu: NVIDIA H200", started_at=at(9))
    ).rows
    assert {row.device for row in rows} == {"cpu", "gpu: NVIDIA H200"}


def test_one_arm_under_two_versions_of_its_framework_has_a_row_for_each():
    rows = only_table(
        record(framework_version="0.10.1"), record(framework_version="0.10.2", started_at=at(9))
    ).rows
    assert {(row.framework_version, row.status) for row in rows} == {
        ("0.10.1", "1 ok"),
        ("0.10.2", "1 ok"),
    }


def test_one_arm_under_two_contents_of_one_version_has_a_row_for_each_that_can_be_told_apart():
    healthy, edited = (
        record(environment_sha256="a" * 64),
        record(environment_sha256="b" * 64, started_at=at(9)),
    )
    found = only_table(healthy, edited)
    assert [(row.framework_version, row.content, row.status) for row in found.rows] == [
        ("0.10.2", "aaaaaaaa", "1 ok"),
        ("0.10.2", "bbbbbbbb", "1 ok"),
    ]
    assert "| 0.10.2 (bbbbbbbb) |" in render(compose([found]), "markdown")
    assert any(
        remark.startswith("jax/keras: several rows, since the content of the environment")
        for remark in told(found)
    )


def test_an_arm_of_one_content_is_shown_without_it():
    found = only_table(
        record(environment_sha256="a" * 64), record(environment_sha256="a" * 64, started_at=at(9))
    )
    assert [(row.content, row.status) for row in found.rows] == [("", "2 ok")]
    assert not any("content" in remark for remark in told(found))


def test_a_run_that_failed_early_joins_the_row_of_its_own_content():
    early = {"status": "failed", "device": "auto", "started_at": at(20)}
    runs = [
        record(environment_sha256=digit * 64, started_at=at(minute))
        for minute, digit in enumerate("ab")
    ]
    found = only_table(*runs, record(environment_sha256="a" * 64, **early))
    assert {row.content[:1]: row.status for row in found.rows} == {
        "a": "1 ok, 1 failed",
        "b": "1 ok",
    }


def test_the_measure_of_an_arm_is_the_native_one_of_the_same_content():
    native = {"implementation": "native", "module": "native.jax"}
    runs = [
        record(environment_sha256="a" * 64, **native),
        record(environment_sha256="a" * 64),
        record(environment_sha256="b" * 64),
    ]
    found = {(row.name, row.content): row.to_native for row in only_table(*runs).rows}
    assert found["jax/keras", "aaaaaaaa"] == 1.0
    assert found["jax/keras", "bbbbbbbb"] is None


def test_options_in_another_order_are_one_arm():
    options = {"mode": "compile", "fused": True}
    runs = [
        record(options=options),
        record(options=dict(reversed(options.items())), started_at=at(9)),
    ]
    assert only_row(*runs).status == "2 ok"


@pytest.mark.parametrize(
    ("identities", "said"),
    [
        ("aa", None),
        ((None, None), None),
        ("ab", "made on 2 machines that only their description says to be one"),
        (("a", None), "only its description says that all runs are of one machine"),
    ],
)
def test_runs_of_machines_of_one_description_are_remarked_where_they_may_be_several(
    identities, said
):
    runs = [
        record(identity=each and each * 64, started_at=at(minute))
        for minute, each in enumerate(identities)
    ]
    found = [remark for remark in told(only_table(*runs)) if "machine" in remark]
    assert [remark[: len(said)] for remark in found] == [said] if said else found == []


def test_a_row_s_status_counts_every_run():
    runs = [
        record(started_at=at(0)),
        record(started_at=at(1)),
        record(started_at=at(2), **DIVERGED),
        record(started_at=at(3), **FAILED),
    ]
    assert only_row(*runs).status == "2 ok, 1 diverged, 1 failed"


def test_tables_do_not_depend_on_the_order_of_the_records():
    runs = [
        record(backend="jax", started_at=at(0)),
        record(backend="torch", started_at=at(1), epoch_s=(3.0, 2.0, 2.0)),
        record(backend="torch", started_at=at(2), **FAILED),
        record(backend="jax", started_at=at(3), keras="3.16.0"),
    ]
    assert {compare(shuffled) for shuffled in itertools.permutations(runs)} == {compare(runs)}


# Figures


def test_seeds_are_averaged_before_the_spread_is_taken():
    # Seed 0 ran three times and must not outweigh seed 1.
    runs = [
        record(seed=0, started_at=at(index), test_accuracy=accuracy)
        for index, accuracy in enumerate((0.96, 0.97, 0.98))
    ]
    row = only_row(*runs, record(seed=1, started_at=at(5), test_accuracy=0.99))
    assert row.n_seeds == 2
    assert row.test_accuracy is not None
    assert (row.test_accuracy.low, row.test_accuracy.mid, row.test_accuracy.high) == pytest.approx(
        (0.97, 0.98, 0.99)
    )
    assert row.test_accuracy_sd == pytest.approx(statistics.stdev([0.97, 0.99]))


def test_one_seed_has_no_standard_deviation_however_often_it_ran():
    row = only_row(
        record(started_at=at(0), test_accuracy=0.97), record(started_at=at(1), test_accuracy=0.98)
    )
    assert (row.n_seeds, row.test_accuracy_sd) == (1, None)


def test_the_epoch_time_leaves_out_each_run_s_first_epoch():
    row = only_row(
        record(epoch_s=(50.0, 1.0, 2.0), started_at=at(0)),
        record(epoch_s=(70.0, 3.0, 9.0), started_at=at(1)),
    )
    assert row.epoch_s == Spread(1.0, 2.5, 9.0)


def test_the_first_epoch_is_told_apart():
    runs = [
        record(epoch_s=(first, 1.0, 1.0), started_at=at(index))
        for index, first in enumerate((50.0, 70.0, 90.0))
    ]
    assert only_row(*runs).first_epoch_s == 70.0


def test_a_run_of_one_epoch_has_no_epoch_time():
    row = only_row(record(epoch_s=(50.0,), compiles=(2,)))
    assert (row.epoch_s, row.ratio, row.first_epoch_s) == (None, None, 50.0)


def test_total_and_loss_are_medians_and_memory_the_highest():
    figures = [(10.0, 0.1, 500), (20.0, 0.2, 900), (60.0, 0.6, 700)]
    runs = [
        record(started_at=at(index), total_s=total_s, test_loss=loss, peak_rss_bytes=size)
        for index, (total_s, loss, size) in enumerate(figures)
    ]
    row = only_row(*runs)
    assert (row.total_s, row.test_loss, row.peak_rss_bytes) == (20.0, 0.2, 900)


def test_a_diverged_run_gives_no_numbers():
    alone = only_row(record(started_at=at(0)))
    beside = only_row(
        record(started_at=at(0)),
        record(started_at=at(1), seed=1, total_s=999.0, peak_rss_bytes=1 << 40, **DIVERGED),
    )
    assert beside == dataclasses.replace(alone, status="1 ok, 1 diverged")


def test_an_arm_that_only_diverged_has_a_row_without_figures():
    row = only_row(record(**DIVERGED))
    assert row.status == "1 diverged"
    figures = (
        row.test_accuracy,
        row.test_loss,
        row.epoch_s,
        row.ratio,
        row.to_native,
        row.first_epoch_s,
        row.total_s,
        row.peak_rss_bytes,
    )
    assert figures == (None,) * 8


# The baseline


def two_arms():
    return [
        record(backend="jax", started_at=at(0), epoch_s=(9.0, 2.0, 2.0)),
        record(backend="torch", started_at=at(1), epoch_s=(9.0, 3.0, 3.0)),
    ]


def ratios(table):
    return {row.name: row.ratio for row in table.rows}


def test_the_first_arm_is_the_baseline_where_none_is_named():
    table = only_table(*two_arms())
    assert (table.baseline, ratios(table)) == ("jax/keras", {"jax/keras": 1.0, "torch/keras": 1.5})


@pytest.mark.parametrize("name", ["torch/keras", "torch"])
def test_the_baseline_may_be_an_arm_or_a_backend(name):
    table = only_table(*two_arms(), baseline=name)
    assert (table.baseline, ratios(table)) == (
        "torch/keras",
        {"jax/keras": pytest.approx(2 / 3), "torch/keras": 1.0},
    )


def test_an_arm_that_never_finished_is_no_baseline():
    table = only_table(record(backend="tensorflow", started_at=at(0), **DIVERGED), *two_arms())
    assert (table.baseline, ratios(table)["tensorflow/keras"]) == ("jax/keras", None)


def test_an_unknown_baseline_is_answered_with_the_nearest():
    with pytest.raises(ConfigError) as caught:
        compare(two_arms(), "torch/kers")
    assert str(caught.value) == (
        "--baseline: expected one of jax/keras, jax, torch/keras, torch; received 'torch/kers'. "
        "Did you mean 'torch/keras'?"
    )


# What Keras, or doing without, costs: each arm's epoch to that of its own backend's native arm


def running(backend, implementation, seconds, **changes):
    """A run whose epochs after the first take so long."""
    return record(
        backend=backend, implementation=implementation, epoch_s=(9.0, seconds, seconds), **changes
    )


def to_native(*records, **options):
    return {
        (row.name, row.device, row.framework_version): row.to_native
        for row in only_table(*records, **options).rows
    }


def by_name(*records, **options):
    return {name: ratio for (name, _, _), ratio in to_native(*records, **options).items()}


BOTH = (
    running("jax", "keras", 3.0, started_at=at(0)),
    running("torch", "keras", 10.0, started_at=at(1)),
    running("jax", "native", 2.0, started_at=at(2)),
    running("torch", "native", 4.0, started_at=at(3)),
)


def test_an_arm_s_epoch_is_set_against_its_own_backend_s_native_arm():
    assert by_name(*BOTH) == {
        "jax/keras": 1.5,
        "torch/keras": 2.5,
        "jax/native": 1.0,
        "torch/native": 1.0,
    }


def test_the_baseline_has_no_say_in_the_ratio_to_native():
    assert by_name(*BOTH, baseline="torch/keras") == by_name(*BOTH)


def test_a_backend_without_a_native_arm_has_no_ratio_to_it():
    assert by_name(*BOTH[:3]) == {"jax/keras": 1.5, "torch/keras": None, "jax/native": 1.0}


def test_an_arm_whose_name_only_begins_with_native_is_not_the_native_arm():
    idiomatic = running(
        "jax", "native-idiomatic", 2.0, started_at=at(1), options={"flavour": "idiomatic"}
    )
    assert by_name(BOTH[0], idiomatic) == {"jax/keras": None, "jax/native-idiomatic": None}


@pytest.mark.parametrize(
    "other",
    [{"device": "gpu: NVIDIA H200"}, {"framework_version": "0.10.1"}],
    ids=["device", "version"],
)
def test_a_native_arm_is_no_measure_for_another(other):
    ratios_found = to_native(BOTH[0], running("jax", "native", 2.0, started_at=at(1), **other))
    assert ratios_found["jax/keras", "cpu", "0.10.2"] is None


def test_each_device_has_its_own_native_arm_to_be_set_against():
    runs = [
        running("jax", implementation, seconds, device=device, started_at=at(index))
        for index, (implementation, device, seconds) in enumerate(
            (
                ("keras", "cpu", 3.0),
                ("native", "cpu", 2.0),
                ("keras", "gpu: A", 1.0),
                ("native", "gpu: A", 0.25),
            )
        )
    ]
    found = to_native(*runs)
    assert (found["jax/keras", "cpu", "0.10.2"], found["jax/keras", "gpu: A", "0.10.2"]) == (
        1.5,
        4.0,
    )


def test_the_ratio_to_native_is_of_medians_over_all_runs_and_leaves_out_first_epochs():
    native = [
        record(implementation="native", seed=seed, started_at=at(seed), epoch_s=(first, *rest))
        for seed, (first, *rest) in enumerate(((50.0, 1.0, 2.0), (70.0, 4.0, 9.0)))
    ]
    assert by_name(*native, running("jax", "keras", 6.0, started_at=at(5)))["jax/keras"] == 2.0


def test_a_native_arm_that_only_diverged_is_no_measure():
    assert (
        by_name(BOTH[0], record(implementation="native", started_at=at(1), **DIVERGED))["jax/keras"]
        is None
    )


# What must not be mixed

OTHER_SPEC = SPEC.model_copy(update={"batch_size": 256})
APART = {
    "another machine": ({"machine": "Another processor, 2 cores, 8 GiB, Linux x86_64"}, "machine"),
    "another dataset": ({"dataset": "digits", "data_sha256": "e" * 64}, "dataset"),
    "another spec": ({"spec_name": "mnist-mlp-2", "spec": OTHER_SPEC}, "spec"),
    "another Keras": ({"keras": "3.16.0"}, "keras"),
    "other epochs": ({"epoch_s": (3.0, 1.0, 1.0, 1.0)}, "epochs"),
    "other threads": ({"threads": 1}, "threads"),
}


@pytest.mark.parametrize(("change", "field"), APART.values(), ids=APART.keys())
def test_a_table_of_its_own_goes_to_runs_of(change, field):
    tables = compare(
        [record(started_at=at(0)), record(backend="torch", started_at=at(1), **change)]
    )
    assert [[row.name for row in table.rows] for table in tables] == [
        ["torch/keras"],
        ["jax/keras"],
    ]
    assert differences(tables) == (field,)


@pytest.mark.parametrize(
    ("change", "what"),
    [({"spec": OTHER_SPEC}, "spec"), ({"data_sha256": "e" * 64}, "dataset")],
    ids=["spec", "dataset"],
)
def test_a_name_that_came_to_mean_other_content_gets_its_own_table(change, what):
    tables = compare([record(started_at=at(0)), record(started_at=at(1), **change)])
    assert len(tables) == 2
    assert differences(tables) == (f"content of a {what} of the same name",)


def test_several_differences_are_all_named():
    tables = compare(
        [record(started_at=at(0)), record(started_at=at(1), keras="3.16.0", threads=2)]
    )
    assert differences(tables) == ("keras", "threads")


def test_other_content_is_named_where_other_tables_differ_in_more():
    runs = [
        record(started_at=at(0)),
        record(started_at=at(1), spec=OTHER_SPEC),
        record(started_at=at(2), threads=2),
    ]
    assert set(differences(compare(runs))) == {"threads", "content of a spec of the same name"}


@pytest.mark.parametrize(
    "change",
    [
        {"spec": SPEC.model_copy(update={"dataset": "digits"})},
        {"spec": SPEC.model_copy(update={"epochs": 3})},
        {"time_limit_s": 60.0},
        {"asked_device": "cpu"},
        {"seed": 7, "weights_sha256": "7" * 64, "order_sha256": "8" * 64},
    ],
    ids=[
        "the spec's choice of a dataset",
        "who said how many epochs",
        "the time limit",
        "how the device was asked for",
        "the seed",
    ],
)
def test_one_table_holds_runs_that_differ_only_in(change):
    assert (
        len(
            compare([record(started_at=at(0)), record(backend="torch", started_at=at(1), **change)])
        )
        == 1
    )


def test_the_newest_run_s_table_comes_first():
    runs = [
        record(started_at=at(0)),
        record(started_at=at(1), keras="3.16.0"),
        record(started_at=at(2)),
    ]
    assert [table.key.keras for table in compare(runs)] == ["3.15.1", "3.16.0"]


def test_only_tables_with_a_run_of_this_call_are_shown():
    mine = record(started_at=at(1), threads=2)
    tables = compare([record(started_at=at(0)), mine], only=frozenset({mine.run_id}))
    assert [table.key.threads for table in tables] == ["2"]


def test_a_table_with_a_run_of_this_call_keeps_its_earlier_rows():
    mine = record(backend="torch", started_at=at(1))
    (table,) = compare([record(started_at=at(0)), mine], only=frozenset({mine.run_id}))
    assert len(table.rows) == 2


# Failures


def test_a_failure_is_listed_with_its_reason():
    failed = record(started_at=at(1), **FAILED)
    (listed,) = only_table(record(started_at=at(0)), failed).failures
    assert (listed.run_id, listed.status, listed.reason) == (
        failed.run_id,
        "failed",
        FAILED["reason"],
    )


def test_a_diverged_run_is_listed_with_its_reason():
    (listed,) = only_table(record(**DIVERGED)).failures
    assert (listed.status, listed.reason) == ("diverged", DIVERGED["reason"])


def test_a_run_that_went_well_is_not_listed():
    assert only_table(record()).failures == ()


def test_a_failure_before_its_device_was_known_is_adopted_by_its_arm_s_row():
    row = only_row(record(started_at=at(0)), record(started_at=at(1), **FAILED))
    assert (row.device, row.status) == ("cpu", "1 ok, 1 failed")


@pytest.mark.parametrize(("asked", "device"), [("cpu", "cpu"), ("gpu", "gpu: NVIDIA H200")])
def test_a_failure_on_a_device_asked_for_is_adopted_by_that_device_s_row(asked, device):
    runs = [record(started_at=at(0)), record(started_at=at(1), device="gpu: NVIDIA H200")]
    table = only_table(*runs, record(started_at=at(2), asked_device=asked, **FAILED))
    assert {row.device: row.status for row in table.rows}[device] == "1 ok, 1 failed"


def test_a_failure_before_its_version_was_known_is_adopted_by_the_version_that_ran_last():
    versions = ("0.10.1", "0.10.2", "0.10.1")
    runs = [
        record(started_at=at(index), framework_version=version)
        for index, version in enumerate(versions)
    ]
    rows = only_table(*runs, record(started_at=at(5), **FAILED)).rows
    assert {row.framework_version: row.status for row in rows} == {
        "0.10.1": "2 ok, 1 failed",
        "0.10.2": "1 ok",
    }


def test_a_failure_is_not_adopted_by_the_row_of_another_device():
    table = only_table(
        record(started_at=at(0)), record(started_at=at(1), asked_device="gpu", **FAILED)
    )
    assert {row.device: row.status for row in table.rows} == {"cpu": "1 ok", "gpu": "1 failed"}


def test_a_failure_is_not_adopted_by_another_arm():
    table = only_table(
        record(started_at=at(0)), record(backend="torch", started_at=at(1), **FAILED)
    )
    assert {row.name: row.status for row in table.rows} == {
        "jax/keras": "1 ok",
        "torch/keras": "1 failed",
    }


def test_a_failure_adds_no_figures_to_its_arm_s_row():
    alone, beside = (
        only_row(record(started_at=at(0))),
        only_row(record(started_at=at(0)), record(started_at=at(1), **FAILED)),
    )
    assert (alone.epoch_s, alone.n_seeds, alone.total_s) == (
        beside.epoch_s,
        beside.n_seeds,
        beside.total_s,
    )


def test_a_failure_goes_to_the_table_that_ran_last():
    runs = [
        record(started_at=at(0)),
        record(started_at=at(1), keras="3.16.0"),
        record(started_at=at(2)),
    ]
    tables = compare([*runs, record(started_at=at(3), **FAILED)])
    assert {table.key.keras: len(table.failures) for table in tables} == {"3.15.1": 1, "3.16.0": 0}


def test_failures_alone_make_a_table_too():
    table = only_table(
        record(started_at=at(0), **FAILED), record(backend="torch", started_at=at(1), **FAILED)
    )
    assert (table.key.keras, table.baseline) == ("none", "")
    assert [row.status for row in table.rows] == ["1 failed", "1 failed"]


# Runs of a backend without Keras

NUMPY = {
    "backend": "numpy",
    "implementation": "naive",
    "module": "naive.numpy",
    "keras": None,
    "framework_version": "2.4.6",
}


def test_a_run_without_keras_joins_the_table_of_the_keras_runs():
    table = only_table(record(started_at=at(0)), record(started_at=at(1), **NUMPY))
    assert table.key.keras == "3.15.1"
    assert [(row.name, row.framework_version, row.status) for row in table.rows] == [
        ("jax/keras", "0.10.2", "1 ok"),
        ("numpy/naive", "2.4.6", "1 ok"),
    ]


def test_a_run_without_keras_has_figures_beside_the_keras_runs():
    table = only_table(
        record(started_at=at(0)), record(started_at=at(1), epoch_s=(9.0, 4.0, 4.0), **NUMPY)
    )
    assert ratios(table) == {"jax/keras": 1.0, "numpy/naive": 4.0}


def test_a_run_without_keras_joins_also_where_it_ran_first():
    assert len(compare([record(started_at=at(0), **NUMPY), record(started_at=at(1))])) == 1


def test_a_run_without_keras_goes_to_the_table_that_ran_last():
    tables = compare(
        [
            record(started_at=at(0)),
            record(started_at=at(1), keras="3.16.0"),
            record(started_at=at(2), **NUMPY),
        ]
    )
    assert {table.key.keras: len(table.rows) for table in tables} == {"3.15.1": 1, "3.16.0": 2}


@pytest.mark.parametrize(
    ("change", "field"), [APART[name] for name in APART if name != "another Keras"]
)
def test_a_run_without_keras_does_not_join_runs_that_differ_in_more(change, field):
    tables = compare([record(started_at=at(0)), record(started_at=at(1), **(NUMPY | change))])
    assert [(table.key.keras, len(table.rows)) for table in tables] == [("none", 1), ("3.15.1", 1)]
    assert set(differences(tables)) == {"keras", field}


def test_runs_without_keras_alone_make_one_table_of_their_own():
    table = only_table(*(record(seed=seed, started_at=at(seed), **NUMPY) for seed in range(3)))
    assert (table.key.keras, table.baseline) == ("none", "numpy/naive")
    assert [row.status for row in table.rows] == ["3 ok"]


# What a reader is warned of


@pytest.mark.parametrize("field", ["weights_sha256", "order_sha256", "data_sha256"])
def test_unequal_inputs_are_remarked(field):
    first, second = record(started_at=at(0)), record(backend="torch", started_at=at(1))
    measured = second.measured
    assert measured is not None
    unequal = second.model_copy(update={"measured": replace(measured, **{field: "0" * 64})})
    table = only_table(first, unequal)
    assert not table.equal_inputs
    assert any(remark.startswith("inputs differ: ") for remark in told(table))


def test_equal_inputs_are_said_and_not_remarked():
    table = only_table(*two_arms())
    assert (table.equal_inputs, told(table)) == (True, ())


def test_each_seed_has_inputs_of_its_own():
    runs = [
        record(
            backend=backend,
            seed=seed,
            started_at=at(seed),
            weights_sha256=f"{seed}" * 64,
            order_sha256=f"{seed}" * 64,
        )
        for backend in ("jax", "torch")
        for seed in range(3)
    ]
    assert only_table(*runs).equal_inputs


def test_a_table_where_nothing_was_measured_claims_no_equal_inputs():
    assert not only_table(
        record(started_at=at(0), **FAILED), record(backend="torch", started_at=at(1), **FAILED)
    ).equal_inputs


def test_compiling_after_the_first_epoch_is_remarked_with_the_arm():
    table = only_table(
        record(started_at=at(0)), record(backend="torch", started_at=at(1), compiles=(1, 0, 1))
    )
    assert told(table) == (
        "compiled after the first epoch, so its epoch time holds compilation: torch/keras",
    )


def test_compiling_in_the_first_epoch_is_not_remarked():
    assert told(only_table(record(compiles=(5, 0, 0)))) == ()


def teardown_remarks(*records):
    return [remark for remark in told(only_table(*records)) if "teardown_s" in remark]


def test_more_than_a_twentieth_of_teardown_is_remarked_with_arm_and_share():
    slow = record(
        backend="tensorflow", started_at=at(1), epoch_s=(9.0, 1.0, 3.0), teardown_s=(0.0, 0.0, 0.24)
    )
    said = (
        "tensorflow/keras on cpu: 6% of its epoch time is fit taking its input pipeline down "
        "(teardown_s in results/README.md)"
    )
    assert told(only_table(record(started_at=at(0)), slow)) == (said,)


@pytest.mark.parametrize("teardown_s", [0.04, 0.05], ids=["less", "just as much"])
def test_a_twentieth_of_teardown_or_less_is_not_remarked(teardown_s):
    assert (
        teardown_remarks(record(epoch_s=(9.0, 1.0, 1.0), teardown_s=(0.0, teardown_s, teardown_s)))
        == []
    )


def test_teardown_in_the_first_epoch_is_not_remarked():
    assert teardown_remarks(record(epoch_s=(9.0, 1.0, 1.0), teardown_s=(8.0, 0.0, 0.0))) == []


def test_an_arm_s_teardown_is_taken_over_all_its_runs():
    runs = [
        record(started_at=at(0)),
        record(started_at=at(1), seed=1, epoch_s=(9.0, 1.0, 1.0), teardown_s=(0.0, 0.09, 0.09)),
    ]
    assert teardown_remarks(runs[1]) != []
    assert teardown_remarks(*runs) == []


def test_a_diverged_run_s_teardown_is_not_remarked():
    assert (
        teardown_remarks(
            record(started_at=at(0)), record(started_at=at(1), teardown_s=(0.0, 8.0), **DIVERGED)
        )
        == []
    )


NATIVE_INPUTS = SPEC.model_copy(update={"inputs": "native"})


def drawing(mark, **changes):
    """A run of native inputs that drew weights and order of these digests."""
    return record(spec=NATIVE_INPUTS, weights_sha256=mark * 64, order_sha256=mark * 64, **changes)


def test_native_inputs_are_remarked_as_asked_for_and_not_as_a_fault():
    table = only_table(
        drawing("1", started_at=at(0)), drawing("2", backend="torch", started_at=at(1))
    )
    assert not table.equal_inputs
    assert told(table) == (
        "native inputs: each framework drew its own weights and order, as the spec asks, so "
        "accuracies are of different draws",
    )


def test_runs_of_native_inputs_never_stand_with_runs_of_equal_ones():
    tables = compare([record(started_at=at(0)), drawing("2", backend="torch", started_at=at(1))])
    assert [[row.name for row in table.rows] for table in tables] == [
        ["torch/keras"],
        ["jax/keras"],
    ]


def test_arms_that_ran_other_seeds_claim_no_equal_inputs_and_are_remarked():
    (shown,) = compare(
        [
            record(backend="jax", seed=0),
            record(backend="torch", seed=1, started_at="2026-01-03T00:00:00+00:00"),
        ]
    )
    assert shown.equal_inputs is False
    assert told(shown) == (
        "seeds differ, so mean accuracies are of different draws: jax/keras: 0; torch/keras: 1",
    )


def test_rows_in_other_arithmetic_are_remarked():
    tf32 = record(backend="jax").measured.settings | {"tf32": True}
    (shown,) = compare(
        [
            record(backend="jax", settings=tf32),
            record(backend="torch", started_at="2026-01-03T00:00:00+00:00"),
        ]
    )
    assert "tf32 differs (False, True): these rows are not of one arithmetic" in told(shown)


def test_a_diverged_run_counts_for_no_seed():
    first = at = "2026-01-03T00:00:00+00:00"
    runs = [record(backend=name, seed=seed) for name in ("jax", "torch") for seed in (0,)]
    runs += [
        record(backend="jax", seed=1, started_at=first),
        record(backend="torch", seed=1, status="diverged", started_at=at),
    ]
    (shown,) = compare(runs)
    assert shown.equal_inputs is False
    assert told(shown) == (
        "seeds differ, so mean accuracies are of different draws: jax/keras: 0, 1; torch/keras: 0",
    )


def test_versions_of_the_harness_that_are_mixed_are_remarked():
    (shown,) = compare([record(), record(harness="0.2.0", started_at="2026-01-03T00:00:00+00:00")])
    assert told(shown) == (
        "made by several versions of the harness (0.1.0, 0.2.0), which may not time alike",
    )


def test_runs_without_keras_that_ran_first_stay_together():
    runs = [record(seed=seed, started_at=at(seed), **NUMPY) for seed in (0, 1)]
    tables = compare([*runs, record(started_at=at(2)), record(started_at=at(3), keras="3.16.0")])
    assert {table.key.keras: len(table.rows) for table in tables} == {"3.16.0": 2, "3.15.1": 1}


def test_an_arm_that_was_asked_for_something_else_has_a_row_of_its_own():
    native = {"implementation": "native", "module": "native.jax"}
    (table,) = compare(
        [record(**native), record(**native, options={"flavour": "idiomatic"}, started_at=at(1))]
    )
    assert [row.status for row in table.rows] == ["1 ok", "1 ok"]


def test_a_backend_s_arms_stand_together_in_whatever_order_they_ran():
    runs = [("jax", "keras"), ("torch", "keras"), ("jax", "native"), ("torch", "native")]
    (table,) = compare(
        [
            record(backend=name, implementation=arm, started_at=at(number))
            for number, (name, arm) in enumerate(runs)
        ]
    )
    assert [row.name for row in table.rows] == [
        "jax/keras",
        "jax/native",
        "torch/keras",
        "torch/native",
    ]
