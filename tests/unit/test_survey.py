"""The survey of Keras, as far as it needs no backend: its catalogue, its verdicts, its records."""

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from harness.experiments.survey import catalogue, departure, items, judge, known, script
from harness.experiments.survey.compare import compare
from harness.experiments.survey.run import do_two_at_once
from harness.records import store
from harness.records.survey import Item, Printed, Survey, Surveyed
from tests.unit.records import record as make_run

ITEMS = items.make_items(catalogue.load())
BACKENDS = ("tensorflow", "jax", "torch")
SURVEY = Survey(
    harness="0.7.0",
    run_id="20261128T000000Z-survey-000000",
    started_at="2026-11-28T00:00:00.000+00:00",
    host=make_run().host,
    catalogue="0" * 64,
    backends=BACKENDS,
    frameworks=BACKENDS,
    versions=({"keras": "3.15.1", "framework_version": "1"},) * 3,
    environments=(None,) * 3,
    public={"3.15.1": {"layers.Dense": "layers.Dense", "layers.Layer": "layers.Layer"}},
)
ITEM = next(item for item in ITEMS if item.name == "layers.Dense 1")


def computed(exact, own=None, item=ITEM, name="output"):
    """Return the record of one quantity: by backend its float64 values, and its own ones."""
    both = [
        dict(zip(BACKENDS, ({name: np.array(each)} for each in values), strict=True))
        for values in (exact, own or [np.float32(each) for each in exact])
    ]
    return compare(item, *both)


def departures(record, *scripts):
    verdict = judge.judge(Surveyed(SURVEY, (record,), scripts))
    return [(one.what, one.apart) for group in verdict.groups for one in group.found]


def test_every_name_of_an_item_is_its_own_and_its_text_is_python():
    assert len({item.name for item in ITEMS}) == len(ITEMS) > 2000
    for item in ITEMS:
        for text in (*item.inputs, item.call):
            ast.parse(text, mode="eval")
        ast.parse("\n".join(item.setup))


def test_what_asks_for_float64_has_the_inputs_of_what_does_not():
    by_name = {item.name: item for item in ITEMS}
    wide = by_name["layers.Dense 1, float64"]
    assert wide.seed == ITEM.seed
    assert wide.inputs == tuple(f"np.float64({text})" for text in ITEM.inputs)


@pytest.mark.parametrize("quantity", ["output", "training output 1", "gradient x0", "gradient w"])
def test_a_script_of_any_item_has_at_most_15_lines_and_imports_keras_and_numpy_only(quantity):
    for item in ITEMS:
        if item.derive or "gradient" not in quantity:
            one = departure.Departure("value", item.name, item.subject, quantity, ("jax",), 1.0)
            text = script.make_script(item, one)
            assert len(text.splitlines()) <= 15, f"{item.name}\n{text}"
            names = {
                (node.module or "").partition(".")[0]
                if isinstance(node, ast.ImportFrom)
                else node.names[0].name
                for node in ast.walk(ast.parse(text))
                if isinstance(node, ast.Import | ast.ImportFrom)
            }
            assert names <= {"keras", "json"}, item.name  # json: what .keras holds


def test_rounding_in_float64_is_no_departure():
    assert departures(computed([[1.0, 2.0], [1.0, 2.0 + 1e-13], [1.0 - 1e-14, 2.0]])) == []


def test_the_one_that_is_alone_is_named_and_where_all_differ_so_are_all():
    assert departures(computed([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0 + 1e-8]])) == [
        ("value", ("torch",))
    ]
    assert departures(computed([[1.0], [1.1], [1.2]])) == [("value", BACKENDS)]


def test_what_is_not_finite_on_one_backend_only_departs_and_on_all_does_not():
    assert departures(computed([[np.nan], [1.0], [1.0]])) == [("value", ("tensorflow",))]
    assert departures(computed([[np.nan], [np.nan], [np.nan]])) == []
    assert departures(computed([[np.inf], [-np.inf], [np.inf]])) == [("value", ("jax",))]


def test_float32_departs_only_beyond_five_times_the_others_and_eight_units():
    exact = [np.linspace(1, 2, 50)] * 3
    unit = 2.0**-24

    def of(*errors):
        own = [
            np.float64(each) * (1 + error * unit) for each, error in zip(exact, errors, strict=True)
        ]
        return departures(computed(exact, own))

    assert of(1, 1, 7) == []
    assert of(3, 3, 14) == []
    assert of(1, 1, 9) == [("float32", ("torch",))]


def test_another_shape_and_another_kind_of_dtype_depart():
    assert departures(computed([[[1.0]], [1.0], [[1.0]]])) == [("shape", ("jax",))]
    own = [np.float32([1.0]), np.float64([1.0]), np.float32([1.0])]
    assert departures(computed([[1.0]] * 3, own)) == [("dtype", ("jax",))]


def test_an_error_of_one_backend_is_a_row_and_one_of_all_is_no_departure():
    good, bad = {"output": np.ones(2)}, {"setup": np.array("ValueError: no")}
    one = compare(ITEM, *({"tensorflow": good, "jax": good, "torch": bad},) * 2)
    assert departures(one) == [("failure", ("torch",))]
    everywhere = compare(ITEM, *(dict.fromkeys(BACKENDS, bad),) * 2)
    verdict = judge.judge(Surveyed(SURVEY, (everywhere,), ()))
    assert verdict.groups == ()
    assert verdict.everywhere == ((ITEM.name, "ValueError: no"),)


@pytest.mark.parametrize(
    ("lines", "counts"),
    [(("1.0", "1.0", "2.0"), True), (("1.0", "1.0", "1.0"), False), (("1.0", "1.0", "x"), False)],
)
def test_a_departure_counts_once_its_script_has_shown_it(lines, counts):
    record = computed([[1.0], [1.0], [2.0]])
    printed = Printed(
        item=ITEM.name, quantity="output", script="...", lines=lines, failed=(False,) * 3
    )
    verdict = judge.judge(Surveyed(SURVEY, (record,), (printed,)))
    assert bool(verdict.unknown) is counts


def test_a_known_difference_has_its_reason_and_no_other_backend_hides_behind_it():
    item = next(item for item in ITEMS if item.name == "optimizers.Adam saved in .keras")
    for values, is_known in (([[1.0], [1.0], [0.0]], True), ([[1.0], [0.0], [1.0]], False)):
        verdict = judge.judge(Surveyed(SURVEY, (computed(values, item=item),), ()))
        assert [bool(group.known) for group in verdict.groups] == [is_known]


def test_every_known_difference_has_its_reason_and_a_new_one_its_cause():
    for each in known.load_known():
        assert each.reason
        assert not each.new or (each.cause and each.newest), each.name


def test_a_survey_is_read_as_it_was_written_and_a_torn_line_costs_itself(tmp_path):
    record = computed([[1.0], [1.0], [2.0]])
    file = store.add(tmp_path, SURVEY)
    assert store.add(tmp_path, record, SURVEY.run_id) == file
    with file.open("ab") as target:
        target.write(b'{"kind":"item","form')
    (found,), (torn,) = store.load_surveys(tmp_path)
    assert found == Surveyed(SURVEY, (record,), ())
    assert "torn" in torn.reason


def test_the_last_line_of_an_item_counts(tmp_path):
    first, second = (Item(name="a", subject="b", failures={"x": {"y": z}}) for z in "12")
    for each in (SURVEY, first, second):
        store.add(tmp_path, each, SURVEY.run_id)
    ((found,), _) = store.load_surveys(tmp_path)
    assert found.items == (second,)


def test_tasks_are_done_once_each_and_what_one_raises_is_raised():
    done = []
    do_two_at_once(done.append, list(range(50)))
    assert sorted(done) == list(range(50))
    with pytest.raises(ZeroDivisionError):
        do_two_at_once(lambda n: 1 // n, [1, 0, 2])


def test_a_survey_that_names_nothing_of_keras_says_what_was_probably_meant():
    from harness.errors import ConfigError
    from harness.experiments.survey.plan import plan_survey
    from harness.spec import config

    known = config.load(Path(__file__).parents[2] / "backends.toml").backends
    with pytest.raises(ConfigError, match=r"--only: .*Did you mean 'Dense'"):
        plan_survey(known, (), ("Dens",))
    assert dataclasses.is_dataclass(plan_survey(known, ("jax", "torch"), ("Dense",)))
