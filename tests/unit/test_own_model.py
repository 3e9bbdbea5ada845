"""A spec that is a model of the user's own: what is read of it, planned, kept and shown."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness import __version__
from harness.cli import parity_model
from harness.cli.bench import budget_of
from harness.cli.choose import USUAL_S, _sentence, sessions_of
from harness.cli.options import ChooseOptions, TrainOptions
from harness.cli.own_model import open_spec
from harness.cli.parity_options import ParityOptions
from harness.cli.project import Project
from harness.engine.arms import declared_arms, select_arms
from harness.engine.own_model import PreparedModel
from harness.engine.plan import plan
from harness.errors import ConfigError
from harness.experiments.bench import document as bench_document
from harness.experiments.bench.forecast import Budget
from harness.experiments.bench.judge import summarize
from harness.experiments.gate.document import compose as compose_gate
from harness.experiments.gate.document import lines
from harness.experiments.gate.judge import judge_gate
from harness.experiments.parity.model_plan import plan_model_check, with_data
from harness.experiments.train.document import compose
from harness.experiments.train.judge import compare
from harness.job.arm import ArmId
from harness.job.own_model import Proved, Quality
from harness.job.request import Data
from harness.records import frame
from harness.records.observation import Seen
from harness.records.proof import ArmProof
from harness.records.record import Record
from harness.records.user_model import BackendParity, ModelParity
from harness.records.verdicts import is_of, newest_check, verdict_on, verdicts_of
from harness.report.renderers import render
from harness.spec import config
from harness.spec.draws import File
from harness.spec.model import OwnModel, check_command, source_of
from harness.spec.project import choose_spec
from tests.unit.benches import bench
from tests.unit.records import record

ROOT = Path(__file__).resolve().parents[2]
WHOLE = config.load(ROOT / "backends.toml")
SOURCE = "def build(width=4):\n    ...\n\n\ndef small():\n    ...\n\n\ndef data():\n    ...\n"
SHA256 = hashlib.sha256(SOURCE.encode()).hexdigest()
OWN = OwnModel(model="my_model.py:build", data="my_model.py:data", batch_size=32, sha256=SHA256)
QUALITY = Quality(of="validation data", values={"loss": 0.25, "accuracy": 0.9})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project's folder with a model's file, which is also the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "my_model.py").write_text(SOURCE)
    return tmp_path


def refusal(work):
    with pytest.raises(ConfigError) as caught:
        work()
    return str(caught.value)


def edited(folder, table):
    """The configuration of a backends.toml with one more spec, at its head."""
    whole = (ROOT / "backends.toml").read_text()
    (folder / "backends.toml").write_text(whole.replace("[specs.", f"{table}\n[specs.", 1))
    return config.load(folder / "backends.toml")


def test_a_table_that_names_a_model_is_one_with_the_arms_that_any_model_has(folder):
    table = '[specs.mine]\nmodel = "my_model.py"\narguments = { width = 8 }\nepochs = 2\n'
    found, name = choose_spec(folder, edited(folder, table), "mine")
    assert name == "mine"
    assert found.specs["mine"] == OWN.model_copy(
        update={"arguments": {"width": 8}, "epochs": 2, "batch_size": None}
    )
    arms = select_arms(declared_arms(found), ("jax",), ("lean",))
    assert [str(arm) for arm in arms] == ['jax/lean = train_step {"arm": "lean"}']
    assert "numpy" not in found.backends


def test_a_file_on_the_command_line_is_a_spec_called_after_it(folder):
    below = folder / "below"
    below.mkdir()
    found, name = choose_spec(below, WHOLE, "my_model.py:small", "my_model.py")
    spec = found.specs[name]
    assert (name, spec.model, spec.data) == (
        "my_model.py:small",
        "../my_model.py:small",
        "../my_model.py:data",
    )
    assert source_of(spec, below).file == folder / "my_model.py"


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ('model = "my_model"', "[specs.mine] model: expected FILE.py:FUNCTION, as my_model.py:bui"),
        ('model = "my_model.py"\nepoch = 2', "[specs.mine] unknown key: expected one of model, "),
        ('model = "my_model.py"\nbatch_size = 0', "[specs.mine] batch_size: expected greater than"),
        (
            'model = "my_model.py"\nlimit_batches = true',
            "[specs.mine] limit_batches: expected a va",
        ),
    ],
)
def test_a_fault_in_its_table_is_one_sentence_with_the_key(folder, table, sentence):
    said = refusal(lambda: edited(folder, f"[specs.mine]\n{table}\n"))
    assert said.startswith(f"backends.toml: {sentence}")


@pytest.mark.parametrize(
    ("asked", "data", "sentence"),
    [
        ("my_model.py:biuld", None, "no such function: expected one of build, small, data"),
        ("other.py", None, "other.py: cannot be read (No such file or directory)"),
        ("my_model.py", "my_model.py:dat", "no such function: expected one of build, small, data"),
        ("my_model.keras", None, "expected one for a saved model; received none"),
        ("mnist-mlp", "my_model.py", "--data: has a meaning with a model of your own only"),
    ],
)
def test_a_file_or_function_that_is_not_there_is_said_before_anything_runs(
    folder, asked, data, sentence
):
    assert sentence in refusal(lambda: choose_spec(folder, WHOLE, asked, data))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ["numpy"],
            "arms: numpy: trains stacks of Dense layers only, and no Keras model. Name one",
        ),
        (["jax/native"], "expected one of tensorflow/keras, tensorflow/lean, tensorflow/compiled"),
        (["my_model.py"], "expected one spec; received my_model.py, my_model.py"),
    ],
)
def test_an_arm_that_no_such_model_has_is_refused_before_anything_runs(folder, names, sentence):
    options = TrainOptions(names=["my_model.py", *names])
    assert sentence in refusal(lambda: open_spec(Project(folder, WHOLE, folder), options))


def planned(folder, untimed=None, **changes):
    """The runs of jax/lean for two seeds."""
    found, name = choose_spec(folder, WHOLE, "my_model.py")
    protocol = config.override_protocol(WHOLE.protocol, seeds=(0, 1), epochs=3)
    whole = found.model_copy(update={"protocol": protocol})
    arms = select_arms(declared_arms(whole), ("jax/lean",))
    weights = {seed: File(folder / f"{seed}.npz", str(seed) * 64) for seed in (0, 1)}
    given = {"n_samples": 100, "n_train": 64, "shuffle": True, "weights": weights} | changes
    prepared = PreparedModel(
        name="my_model.py:data",
        sha256="d" * 64,
        folder=folder,
        n_inputs=4,
        source=source_of(found.specs[name], folder),
        batch_size=32,
        untimed={arms[0]: untimed} if untimed else {},
        **given,
    )
    return plan(whole, name, arms, prepared)


def test_each_seed_has_its_weights_and_an_order_of_all_samples_and_the_model_s_file(folder):
    runs = planned(folder)
    assert [each.request.weights_sha256[0] for each in runs] == ["0", "1"]
    assert len({each.request.order_sha256 for each in runs}) == 2
    assert {each.request.data.n_train for each in runs} == {64}
    assert {each.training()["model"].file for each in runs} == {folder / "my_model.py"}
    assert {each.training()["refusal"] for each in runs} == {""}


def test_an_arm_that_is_not_proved_is_asked_for_no_time(folder):
    why = "departs from fit: kernel differs"
    assert {each.training()["refusal"] for each in planned(folder, why)} == {why}


def run(**changes):
    """A record of a user's own model."""
    given = {
        "spec_name": "my_model.py",
        "spec": OWN,
        "module": "train_step",
        "options": {"arm": "keras"},
        "test_accuracy": None,
        "test_loss": None,
        "quality": QUALITY,
    }
    return record(**(given | changes))


def text_of(records, checks=()):
    return render(compose(compare(records, parities=checks)), "markdown")


def test_its_record_is_read_as_it_was_written():
    kept = run()
    assert Record.model_validate_json(kept.model_dump_json()) == kept
    assert isinstance(kept.request.spec, OwnModel)


def test_its_table_shows_the_mean_of_each_metric_over_seeds_in_place_of_accuracy():
    other = Quality(of="validation data", values={"loss": 0.35, "accuracy": 0.8})
    text = text_of([run(), run(seed=1, quality=other)])
    assert "loss 0.3000, accuracy 0.8500" in text
    assert "test accuracy |" not in text
    assert "harness parity --model my_model.py:build" in text


def test_results_csv_has_its_quality_and_on_which_data():
    row = frame.row(run())
    assert (row["quality"], row["quality_of"]) == ("loss=0.25, accuracy=0.9", "validation data")
    assert (row["optimizer"], row["test_accuracy"]) == (None, None)


def test_an_arm_that_departs_has_a_row_without_a_time():
    reason = "departs from fit: weights[0] kernel differs by 3.0e-02 of its size"
    given = {"implementation": "lean", "options": {"arm": "lean"}}
    failed = run(**given, status="failed", reason=reason)
    (row,) = (row for row in compare([run(), failed])[0].rows if row.name == "jax/lean")
    assert (row.status, row.epoch_s) == ("departs from fit", None)


def test_what_took_compiled_s_place_and_why_stands_beside_it():
    from tests.unit.records import SETTINGS

    settings = SETTINGS | {"trained_by": "lean", "refused": "layer noise: cannot be one program"}
    given = {"implementation": "compiled", "options": {"arm": "compiled"}}
    text = text_of([run(**given, settings=settings)])
    assert "1 ok by lean" in text
    assert "jax/compiled: lean took its place: layer noise: cannot be one program" in text


def check(**changes):
    """A check of the model by which jax agrees and torch departs."""
    versions = {"framework_version": "0.10.2", "keras": "3.15.1", "numpy": "2.4.6"}
    given = {
        "harness": "0.1.0",
        "run_id": "check",
        "started_at": "2026-01-01T00:00:00.000+00:00",
        "host": run().host,
        "model": "my_model.py:build",
        "sha256": SHA256,
        "batch": None,
        "seed": 0,
        "device": "auto",
        "threads": "auto",
        "total_s": 1.0,
        "verdict": "departs",
        "backends": tuple(
            BackendParity(backend=name, verdict=verdict, device="cpu", versions=versions)
            for name, verdict in (("jax", "agrees"), ("torch", "departs"))
        ),
    }
    return ModelParity(**(given | changes))


def test_a_check_of_the_model_is_the_verdict_on_each_of_its_arms():
    verdicts = verdicts_of([check()])
    compiled = run(implementation="compiled", options={"arm": "compiled"})
    assert verdict_on(run(), verdicts) == verdict_on(compiled, verdicts) == "agrees"
    assert verdict_on(run(backend="torch"), verdicts) == "departs"


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": OWN.model_copy(update={"sha256": "0" * 64})},
        {"spec": OWN.model_copy(update={"model": "my_model.py:small"})},
        {"spec": OWN.model_copy(update={"arguments": {"width": 2}})},
        {"framework_version": "0.11.0"},
    ],
)
def test_a_check_says_nothing_of_another_model_or_version(changes):
    assert verdict_on(run(**changes), verdicts_of([check()])) == "not checked"


def test_the_newest_check_of_the_file_as_it_is_now_is_known():
    newer = check(harness=__version__, run_id="newer")
    assert newest_check([check(harness=__version__), newer], OWN) == newer
    assert newest_check([check()], OWN) is None, "another harness"
    assert newest_check([newer], OWN.model_copy(update={"sha256": "0" * 64})) is None
    several = check(harness=__version__, replicas=2)
    assert newest_check([newer, several], OWN) == newer, "of several devices"
    both, (first, _) = ("torch", "jax"), newer.backends
    alone = newer.model_copy(update={"run_id": "newest", "backends": (first,)})
    assert newest_check([newer, alone], OWN) == alone
    assert newest_check([newer, alone], OWN, both) == newer, "of fewer backends"
    assert newest_check([newer], OWN, ("jax",)) is None, "of more"


def test_a_check_is_of_what_it_was_made_on():
    made = check()
    jax, machine = made.backends[0], made.host.machine
    here = Seen(device="cpu", versions=jax.versions, environment_sha256=jax.environment_sha256)
    assert is_of(made, "jax", here, machine)
    assert not is_of(made, "tensorflow", here, machine)
    assert not is_of(made, "jax", here, "another machine")
    for changed in (
        {"device": "gpu"},
        {"versions": jax.versions | {"keras": "3.14.0"}},
        {"environment_sha256": "0" * 64},
    ):
        assert not is_of(made, "jax", here.model_copy(update=changed), machine), changed


def test_choose_shows_a_session_of_this_model_with_these_arguments_and_no_other():
    def timed(**changes):
        made = bench(n_generations=1)
        return made.model_copy(
            update={
                "session": made.session.model_copy(update={"spec": OWN.model_copy(update=changes)})
            }
        )

    mine = timed()
    others = [timed(arguments={"width": 2}), timed(sha256="0" * 64), bench(n_generations=1)]
    assert sessions_of(OWN, [*others, mine]) == [mine]


PROVED = Proved(difference=1e-12, path="weights[0] kernel", equal=True, n_updates=40)


def proof(**changes):
    arm = ArmId.of("jax", "jax", "lean", "train_step", {"arm": "lean"})
    given = {
        **arm.fields,
        "harness": __version__,
        "run_id": "proof",
        "started_at": "2026-01-01T00:00:00.000+00:00",
        "host": run().host,
        "spec": OWN,
        "data": Data(name="d", sha256="d" * 64, n_train=64, n_inputs=4),
        "environment_sha256": "e" * 64,
        "proved": PROVED,
    }
    return ArmProof(**(given | changes))


def test_a_proof_holds_for_its_model_data_arm_and_environment_and_no_other():
    known, data = proof(), proof().data
    assert known.holds_for(OWN, data, known.arm, "e" * 64)
    other_data = data.model_copy(update={"sha256": "0" * 64})
    other_model = OWN.model_copy(update={"sha256": "0" * 64})
    for asked in (
        (other_model, data, known.arm, "e" * 64),
        (OWN, other_data, known.arm, "e" * 64),
        (OWN, data, replace(known.arm, backend="torch"), "e" * 64),
        (OWN, data, known.arm, "f" * 64),
        (OWN, data, known.arm, None),
    ):
        assert not known.holds_for(*asked)


def test_an_arm_is_timed_only_where_its_proof_passed():
    assert proof().why_untimed == ""
    apart = replace(PROVED, difference=0.03, equal=False)
    assert proof(proved=apart).why_untimed == (
        "departs from fit: weights[0] kernel differs by 3.0e-02 of its size "
        "after 40 updates in float64"
    )
    assert proof(proved=apart, replicas=2).why_untimed.startswith(
        "departs from fit: 2 devices against one: weights[0] kernel differs by 3.0e-02 of its size"
    )
    assert "took too long" in proof(proved=None, reason="took too long").why_untimed


def test_the_answer_begins_with_whether_it_is_one_model_everywhere():
    assert _sentence(check(backends=check().backends[:1])) == "It is one model on jax."
    assert _sentence(check()) == "It is not known to be one model everywhere. torch: departs."
    assert "not checked" in _sentence(None)


def test_the_digest_of_a_model_holds_what_its_file_imports_from_beside_it(folder):
    alone = choose_spec(folder, WHOLE, "my_model.py")[0].specs["my_model.py"].sha256
    assert alone == SHA256
    (folder / "blocks").mkdir()
    (folder / "my_model.py").write_text(f"from blocks.wide import Wide\nimport json\n{SOURCE}")
    digests = set()
    for wide in ("from . import deep", "from . import deep  # changed"):
        (folder / "blocks" / "wide.py").write_text(wide)
        for deep in ("Deep = 1", "Deep = 2"):
            (folder / "blocks" / "deep.py").write_text(deep)
            digests.add(choose_spec(folder, WHOLE, "my_model.py")[0].specs["my_model.py"].sha256)
    (folder / "unused.py").write_text("x = 1")
    digests.add(choose_spec(folder, WHOLE, "my_model.py")[0].specs["my_model.py"].sha256)
    assert len(digests - {alone}) == 4


def test_a_check_of_other_arguments_is_another_check():
    given = {"arguments": {"width": 2}}
    other, verdicts = run(spec=OWN.model_copy(update=given)), verdicts_of([check(**given)])
    assert (verdict_on(run(), verdicts), verdict_on(other, verdicts)) == ("not checked", "agrees")
    known = check(**given, harness=__version__)
    assert newest_check([known], OWN) is None
    assert newest_check([known], OWN.model_copy(update=given)) == known
    assert check_command(OWN.model_copy(update=given)) == (
        "harness parity --model 'my_model.py:build(width=2)'"
    )


def planned_check(*names):
    options = parity_model.with_model(ParityOptions(names=list(names)))
    return plan_model_check(options.model, None, tuple(options.names))


def test_a_check_takes_a_model_as_train_does_and_compares_the_data_of_its_file(folder):
    found = planned_check("my_model.py:build(width=2)", "jax", "torch")
    assert (found.model.function, found.model.arguments) == ("build", {"width": 2})
    assert (found.data.file, found.data.function) == (folder / "my_model.py", "data")
    assert [*found.backends] == ["jax", "torch"]
    (folder / "saved.keras").write_bytes(b"a saved model")
    saved = with_data(planned_check("saved.keras", "jax", "torch"), "my_model.py")
    assert (saved.model.function, saved.data.function) == ("", "data")
    assert saved.model.sha256 == hashlib.sha256(b"a saved model").hexdigest()
    assert planned_check("saved.keras").data is None


def test_a_check_of_a_model_without_data_draws_a_batch(folder):
    (folder / "my_model.py").write_text("def build():\n    ...\n")
    assert planned_check("my_model.py").data is None


BAD_CHECKS = {
    "my_model.py:build(widht=2)": "--model: my_model.py: build: unknown argument: .*'width'",
    "nowhere.keras": "--model: nowhere.keras: cannot be read",
    "my_model.py:bulid": "no such function: .*Did you mean 'build'",
}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("name", "sentence"), BAD_CHECKS.items())
def test_a_check_of_what_is_not_there_is_a_sentence(name, sentence):
    with pytest.raises(ConfigError, match=sentence):
        planned_check(name)


def judged(losses, **margin):
    """A session of a user's model in which torch/keras ends with other losses than jax/keras."""
    names = ("jax/keras", "torch/keras")
    given = {"spec": OWN.model_copy(update={"margin": margin}), "spec_name": "mine"}
    whole = bench(dict.fromkeys(names, 1.0), **given)
    ends = tuple(
        each.model_copy(
            update={
                "test_accuracy": None,
                "quality": Quality(
                    of="validation data",
                    values={"loss": 0.5 + losses[each.generation - 1] * (each.name == names[1])},
                ),
            }
        )
        for each in whole.ends
    )
    whole = whole.model_copy(update={"ends": ends})
    return summarize(whole), whole


def test_a_metric_with_a_margin_is_called_the_baseline_s_or_another():
    for losses, verdict in (([0.001, -0.001] * 4, "equivalent"), ([0.3, 0.31] * 4, "different")):
        summary, whole = judged(losses, loss=0.01)
        arm = next(arm for arm in summary.arms if arm.name == "torch/keras")
        assert arm.qualities["loss"].verdict == verdict
        assert f"loss 0.{'5000' if verdict == 'equivalent' else '8050'} ({verdict})" in str(
            render(bench_document.compose(summary, whole), "markdown")
        )
    assert arm.other_numbers.startswith("its loss is different: 0.3050 higher than the baseline's")


def test_without_a_margin_nothing_is_said_of_equal_quality():
    summary, _ = judged([0.3, 0.31] * 4)
    assert {arm.other_numbers for arm in summary.arms} == {""}


def test_a_gate_holds_each_metric_with_a_margin_to_what_it_was_and_to_the_baseline_s():
    (_, same), (_, other) = judged([0.0] * 8, loss=0.01), judged([0.3, 0.31] * 4, loss=0.01)
    (_, unknown), (_, free) = judged([0.1, -0.1] * 4, loss=0.01), judged([0.3, 0.31] * 4)
    assert judge_gate(same, same).failures == {}
    for base, whose in ((same, "in the earlier session"), (other, "the baseline's")):
        (failed,) = judge_gate(other, base).failures.items()
        assert failed[0] == "torch/keras"
        assert failed[1].startswith(f"its loss is different: 0.3050 higher than {whose} (+0.3")
    assert judge_gate(other, same).outcome == "regressed"
    assert judge_gate(free, free).failures == {}
    gate = judge_gate(unknown, same)
    assert [each.accuracy for each in gate.numbers] == ["equivalent", "inconclusive"]
    assert any("torch/keras: equal accuracy is not known" in line for line in lines(gate))
    kept = json.loads(render(compose_gate(gate), "json"))
    compared = kept["numbers"][1]["qualities"]["in the earlier session"]["loss"]
    assert compared["verdict"] == "inconclusive"


def test_choose_goes_on_to_six_generations_unless_a_budget_is_named_which_is_kept():
    assert budget_of(ChooseOptions().budget, USUAL_S) == Budget(12 * 60, least=6)
    for minutes in (10, 12):
        asked = ChooseOptions(budget=f"{minutes}m").budget
        assert budget_of(asked, USUAL_S) == Budget(minutes * 60, least=0)


def test_a_margin_of_a_metric_that_there_is_not_is_said():
    summary, whole = judged([0.0] * 8, los=0.01)
    text = render(bench_document.compose(summary, whole), "markdown")
    assert "margin: no metric is called los; expected one of loss" in text


def test_a_pipeline_of_one_s_own_is_for_fit_alone(folder):
    table = '[specs.mine]\nmodel = "my_model.py"\nfeed = "own"\n'
    found, _ = choose_spec(folder, edited(folder, table), "mine")
    assert {arm for backend in found.backends.values() for arm in backend.arms} == {"keras"}
    assert found.protocol.arms == found.bench.arms == ("keras",)
