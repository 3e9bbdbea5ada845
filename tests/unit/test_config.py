"""backends.toml: what is impossible is refused before anything runs, in a sentence that says what
to type.
"""

import os
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.spec import config, project
from harness.spec.arm_source import read_declaration

REAL = Path(__file__).resolve().parents[2] / "backends.toml"
PROBS_LAYERS = """layers = [
  { name = "hidden", units = 512, activation = "relu" },
  { name = "output", units = 10, activation = "softmax" },
]"""
NAME = "expected to match pattern '^[A-Za-z0-9][A-Za-z0-9_.-]*$'"
OPTIMIZERS = "expected one of sgd, rmsprop, adam"
MODULES = (
    "compiled.jax, compiled.tensorflow, compiled.torch, keras_fit, "
    "naive.jax, naive.numpy, naive.tensorflow, naive.torch, native.jax, native.tensorflow, "
    "native.torch"
)
BACKEND_KEYS = (
    "expected one of framework, python, environment, requirements, accelerators, variables, "
    "cpu_variables, shared_variables, arms"
)
PROTOCOL_KEYS = "expected one of seeds, epochs, arms, threads, replicas, time_limit_s"
SPEC_KEYS = (
    "expected one of dataset, layers, optimizer, loss_form, batch_size, epochs, initializer, "
    "shuffle, inputs"
)
CORES = "expected 'auto' or a number of cores from 1 to 1024"

# What stands in the real file, what stands there instead (the first place only), and the whole
# message.
BAD = {
    "an activation misspelt": (
        'activation = "relu"',
        'activation = "rleu"',
        "[specs.mnist-mlp] layers[0].activation: expected one of linear, relu, softmax; received "
        "'rleu'. Did you mean 'relu'?",
    ),
    "an optimizer misspelt": (
        '"rmsprop"',
        '"rmspropp"',
        f"[specs.mnist-mlp] optimizer: {OPTIMIZERS}; received 'rmspropp'. Did you mean 'rmsprop'?",
    ),
    "a loss form misspelt": (
        'loss_form = "probs"',
        'loss_form = "prob"',
        "[specs.mnist-mlp] loss_form: expected one of probs, logits; received 'prob'. Did you "
        "mean 'probs'?",
    ),
    "a dataset misspelt": (
        'loss_form = "probs"',
        'loss_form = "probs"\ndataset = "minst"',
        "[specs.mnist-mlp] dataset: expected one of auto, mnist, digits; received 'minst'. Did "
        "you mean 'mnist'?",
    ),
    "a table misspelt": (
        "[protocol]",
        "[protocl]",
        "unknown key: expected one of protocol, bench, specs, backends, sweeps, engines; received "
        "'protocl'. Did you mean 'protocol'?",
    ),
    "a protocol key misspelt": (
        "epochs = 5",
        "epoch = 5",
        f"[protocol]: unknown key: {PROTOCOL_KEYS}; received 'epoch'. Did you mean 'epochs'?",
    ),
    "a spec key misspelt": (
        'loss_form = "probs"',
        'los_form = "probs"',
        f"[specs.mnist-mlp]: unknown key: {SPEC_KEYS}; received 'los_form'. Did you mean "
        "'loss_form'?",
    ),
    "a layer key misspelt": (
        "units = 512",
        "unit = 512",
        "[specs.mnist-mlp] layers[0]: unknown key: expected one of type, name, units, activation; "
        "received 'unit'. Did you mean 'units'?",
    ),
    "an optimizer key misspelt": (
        'name = "rmsprop"',
        'name = "rmsprop", roh = 0.9',
        "[specs.mnist-mlp] optimizer: unknown key: expected one of name, learning_rate, rho, "
        "epsilon; received 'roh'. Did you mean 'rho'?",
    ),
    "another optimizer's key": (
        'name = "rmsprop"',
        'name = "rmsprop", beta_1 = 0.9',
        "[specs.mnist-mlp] optimizer: unknown key: expected one of name, learning_rate, rho, "
        "epsilon; received 'beta_1'.",
    ),
    "a backend key misspelt": (
        'environment = "train-jax"',
        'enviroment = "train-jax"',
        f"[backends.jax]: unknown key: {BACKEND_KEYS}; received 'enviroment'. Did you mean "
        "'environment'?",
    ),
    "an arm key misspelt": (
        'module = "keras_fit"',
        'modul = "keras_fit"',
        "[backends.tensorflow] arms.keras: unknown key: expected one of module, options; received "
        "'modul'. Did you mean 'module'?",
    ),
    "a key missing": (
        "units = 512, ",
        "",
        "[specs.mnist-mlp] layers[0].units: expected a value; the key is missing",
    ),
    "an optimizer without a name": (
        'optimizer = { name = "rmsprop" }',
        "optimizer = { rho = 0.9 }",
        "[specs.mnist-mlp] optimizer: expected a key 'name'; received {'rho': 0.9}",
    ),
    "a string for a number": (
        "epochs = 5",
        'epochs = "5"',
        "[protocol] epochs: expected a valid integer; received '5'",
    ),
    "a truth value for a number": (
        "epochs = 5",
        "epochs = true",
        "[protocol] epochs: expected a valid integer; received True",
    ),
    "a fraction for a count": (
        "units = 512",
        "units = 512.5",
        "[specs.mnist-mlp] layers[0].units: expected a valid integer; received 512.5",
    ),
    "a number for a string": (
        'JAX_PLATFORMS = "cpu"',
        "JAX_PLATFORMS = 1",
        "[backends.jax] cpu_variables.JAX_PLATFORMS: expected a valid string; received 1",
    ),
    "no epochs": (
        "epochs = 5",
        "epochs = 0",
        "[protocol] epochs: expected greater than 0; received 0",
    ),
    "negative units": (
        "units = 512",
        "units = -512",
        "[specs.mnist-mlp] layers[0].units: expected greater than 0; received -512",
    ),
    "no time": (
        "time_limit_s = 1800",
        "time_limit_s = 0",
        "[protocol] time_limit_s: expected greater than 0; received 0",
    ),
    "an empty batch": (
        'loss_form = "probs"',
        'loss_form = "probs"\nbatch_size = 0',
        "[specs.mnist-mlp] batch_size: expected greater than 0; received 0",
    ),
    "a learning rate of zero": (
        'name = "rmsprop"',
        'name = "rmsprop", learning_rate = 0',
        "[specs.mnist-mlp] optimizer.learning_rate: expected greater than 0; received 0",
    ),
    "a learning rate that is no number": (
        'name = "rmsprop"',
        'name = "rmsprop", learning_rate = nan',
        "[specs.mnist-mlp] optimizer.learning_rate: expected a finite number; received nan",
    ),
    "a decay of one": (
        'name = "rmsprop"',
        'name = "rmsprop", rho = 1.0',
        "[specs.mnist-mlp] optimizer.rho: expected less than 1; received 1.0",
    ),
    "a softmax missing under probs": (
        'activation = "softmax"',
        'activation = "linear"',
        "[specs.mnist-mlp] layers[1].activation: expected 'softmax', since loss_form is 'probs'; "
        "received 'linear'",
    ),
    "a softmax under logits": (
        'activation = "linear"',
        'activation = "softmax"',
        "[specs.mnist-mlp-logits] layers[1].activation: expected 'linear', since loss_form is "
        "'logits'; received 'softmax'",
    ),
    "two layers of one name": (
        'name = "output"',
        'name = "hidden"',
        "[specs.mnist-mlp] layers: expected a name of its own for each; received hidden, hidden",
    ),
    "no layers": (
        PROBS_LAYERS,
        "layers = []",
        "[specs.mnist-mlp] layers: expected at least 1; received []",
    ),
    "a layer's name with a slash": (
        'name = "hidden"',
        'name = "hid/den"',
        f"[specs.mnist-mlp] layers[0].name: {NAME}; received 'hid/den'",
    ),
    "an environment outside .nox": (
        '"train-jax"',
        '"../train-jax"',
        "[backends.jax] environment: expected to match pattern '^train-[a-z0-9-]+$'; received "
        "'../train-jax'",
    ),
    "an environment that another session owns": (
        '"train-jax"',
        '"compare"',
        "[backends.jax] environment: expected to match pattern '^train-[a-z0-9-]+$'; received "
        "'compare'",
    ),
    "one environment for two backends": (
        '"train-jax"',
        '"train-tf"',
        "[backends.tensorflow] environment: expected one of its own; received 'train-tf' twice",
    ),
    "an arm's module misspelt": (
        'module = "keras_fit"',
        'module = "keras_fitt"',
        f"[backends.tensorflow] arms.keras.module: expected one of {MODULES}; received "
        "'keras_fitt'. Did you mean 'keras_fit'?",
    ),
    "an arm's option misspelt": (
        'options = { update = "keras" }',
        'options = { updat = "keras" }',
        "[backends.tensorflow] arms.naive-optimizer options: unknown key: expected one of "
        "operations, update; received 'updat'. "
        "Did you mean 'update'?",
    ),
    "an arm's option with a value it does not know": (
        'options = { flavour = "idiomatic" }',
        'options = { flavour = "idiomatik" }',
        "[backends.tensorflow] arms.native-idiomatic options.flavour: expected one of equal, "
        "idiomatic; received 'idiomatik'. "
        "Did you mean 'idiomatic'?",
    ),
    "an option for an arm that has none": (
        'compiled = { module = "compiled.jax" }',
        'compiled = { module = "compiled.jax", options = { fast = true } }',
        "[backends.jax] arms.compiled options: unknown key: expected none; received 'fast'",
    ),
    "a truth value for an option that is a number": (
        "steps_per_execution = 7 ",
        "steps_per_execution = true ",
        "[backends.jax] arms.keras-tuned options.steps_per_execution: expected one of 1, 7, 67, "
        "469; received True.",
    ),
    "a number for an option that is a truth value": (
        "jit_compile = true",
        "jit_compile = 1",
        "[backends.tensorflow] arms.keras-tuned options.jit_compile: expected one of auto, True, "
        "False; received 1.",
    ),
    "an initializer misspelt": (
        'initializer = "uniform"',
        'initializer = "unifrom"',
        "[specs.mnist-naive] initializer: expected one of glorot_uniform, uniform, "
        "fan_in_uniform; received 'unifrom'. "
        "Did you mean 'uniform'?",
    ),
    "inputs misspelt": (
        'inputs = "native"',
        'inputs = "naitve"',
        "[specs.mnist-naive-native] inputs: expected one of equal, native; received 'naitve'. Did "
        "you mean 'native'?",
    ),
    "a word for a truth value": (
        "shuffle = false",
        'shuffle = "no"',
        "[specs.mnist-naive] shuffle: expected a valid boolean; received 'no'",
    ),
    "no epochs in a spec": (
        "epochs = 10",
        "epochs = 0",
        "[specs.mnist-naive] epochs: expected greater than 0; received 0",
    ),
    "no seeds": (
        "seeds = [0]",
        "seeds = []",
        "[protocol] seeds: expected at least 1; received []",
    ),
    "a negative seed": (
        "seeds = [0]",
        "seeds = [-1]",
        "[protocol] seeds[0]: expected greater than or equal to 0; received -1",
    ),
    "a seed of 33 bits": (
        "seeds = [0]",
        "seeds = [0, 4294967296]",
        "[protocol] seeds[1]: expected less than 4294967296; received 4294967296",
    ),
    "threads in words": (
        'threads = "auto"',
        'threads = "many"',
        f"[protocol] threads: {CORES}; received 'many'",
    ),
    "no threads": (
        'threads = "auto"',
        "threads = 0",
        f"[protocol] threads: {CORES}; received 0",
    ),
    "a truth value for threads": (
        'threads = "auto"',
        "threads = true",
        f"[protocol] threads: {CORES}; received True",
    ),
    "no requirements": (
        'cpu = ["jax==0.10.2", "optax==0.2.8", "keras==3.15.1", "numpy==2.4.6"]',
        "cpu = []",
        "[backends.jax] requirements.cpu: expected at least 1; received []",
    ),
    "no arms": (
        "[backends.jax.arms]",
        "[backends.jax.armz]",
        "[backends.jax]: unknown key: " + BACKEND_KEYS + "; received 'armz'. Did you mean 'arms'?",
    ),
    "units that no memory holds": (
        "units = 512",
        "units = 2000000000",
        "[specs.mnist-mlp] layers[0].units: expected at most 65536; received 2000000000: a kernel "
        "of 784 inputs takes 5.7 TiB",
    ),
    "layers that no memory holds": (
        '{ name = "hidden", units = 512, activation = "relu" }',
        '{ name = "hidden", units = 60000, activation = "relu" }, '
        '{ name = "second", units = 60000, activation = "relu" }',
        "[specs.mnist-mlp] layers: expected at most 1.0 GiB of weights; received 13.6 GiB",
    ),
    "epochs whose order no memory holds": (
        "epochs = 5",
        "epochs = 1000000000",
        "[protocol] epochs: expected at most 1000; received 1000000000: the order of 60000 "
        "samples takes 218.3 TiB",
    ),
    "a batch that no memory holds": (
        'loss_form = "probs"',
        'loss_form = "probs"\nbatch_size = 1000000000000',
        "[specs.mnist-mlp] batch_size: expected at most 1000000; received 1000000000000: its "
        "inputs take more than 1 PiB",
    ),
    "seeds whose orders no disk holds": (
        "seeds = [0]          # one run of each arm for each seed\nepochs = 5",
        f"seeds = [{', '.join(map(str, range(1000)))}]\nepochs = 1000",
        "[protocol] epochs: expected at most 10000 of all seeds together; received 1000000: the "
        "orders of 60000 samples take 223.5 GiB",
    ),
    "more seeds than anybody waits for": (
        "seeds = [0]",
        f"seeds = [{', '.join(map(str, range(1001)))}]",
        "[protocol] seeds: expected at most 1000; received 1001",
    ),
    "threads that no machine has": (
        'threads = "auto"',
        "threads = 1000000000",
        f"[protocol] threads: {CORES}; received 1000000000",
    ),
    "a variable's name with =": (
        "JAX_PLATFORMS = ",
        '"JAX=PLATFORMS" = ',
        "[backends.jax] cpu_variables.'JAX=PLATFORMS': expected to match pattern "
        "'^[A-Za-z_][A-Za-z0-9_]*$'; received 'JAX=PLATFORMS'",
    ),
    "a variable's value with NUL": (
        'JAX_PLATFORMS = "cpu"',
        'JAX_PLATFORMS = "c\\u0000pu"',
        "[backends.jax] cpu_variables.JAX_PLATFORMS: expected a value that a process can be "
        "given, without NUL; received 'c\\x00pu'",
    ),
    "a requirement of two lines": (
        '"jax==0.10.2", "optax',
        '"jax==0.10.2\\n-r more", "optax',
        "[backends.jax] requirements.cpu[0]: expected to match pattern '^[^\\x00-\\x1f\\x7f]+$'; "
        "received 'jax==0.10.2\\n-r more'",
    ),
    "a name that no file can have": (
        "[specs.mnist-naive]",
        f"[specs.{'x' * 65}]",
        f"[specs.{'x' * 26}…{'x' * 13}]: expected to have at most 64 characters; received "
        f"'{'x' * 65}'",
    ),
    "a value of a million letters, quoted in part": (
        'activation = "relu"',
        f'activation = "{"x" * 200_000}"',
        "[specs.mnist-mlp] layers[0].activation: expected one of linear, relu, softmax; received "
        f"'{'x' * 65}…{'x' * 32}'.",
    ),
    "an integer of 5,000 digits": (
        "epochs = 5",
        f"epochs = {'9' * 5000}",
        "not valid TOML: a number has too many digits",
    ),
    "an integer that cannot be shown": (
        "seeds = [0]",
        f"seeds = [0x{'f' * 5000}]",
        "[protocol] seeds[0]: expected less than 4294967296; received a value that is too large "
        "to show (int)",
    ),
    "lists in lists in lists": (
        "seeds = [0]",
        f"seeds = {'[' * 2000}{']' * 2000}",
        "not valid TOML: lists or tables are nested too deep",
    ),
    "a key of a thousand parts": (
        "[protocol]",
        f"[{'a.' * 1000}a]",
        "expected keys of fewer than 32 parts; received a longer one",
    ),
    "no TOML": (
        "[protocol]",
        "[protocol",
        "not valid TOML: Expected ']' at the end of a table declaration (at line 3, column 10)",
    ),
}


@pytest.fixture(scope="module")
def real():
    return config.load(REAL)


def edited(folder, *edits):
    """Write the real file with some of its text replaced, each once, and return where."""
    text = REAL.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in text, f"{old!r} is no longer in backends.toml: mend this test"
        text = text.replace(old, new, 1)
    (folder / "backends.toml").write_text(text, encoding="utf-8")
    return folder / "backends.toml"


def refusal(file):
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    return str(caught.value)


@pytest.mark.parametrize(("old", "new", "sentence"), BAD.values(), ids=BAD.keys())
def test_a_bad_edit_is_answered_with_one_exact_sentence(tmp_path, old, new, sentence):
    assert refusal(edited(tmp_path, (old, new))) == f"backends.toml: {sentence}"


def test_several_faults_in_several_tables_are_a_line_each(tmp_path):
    file = edited(
        tmp_path,
        ("epochs = 5", "epochs = 0"),
        ('"rmsprop"', '"rmspropp"'),
        ('module = "keras_fit"', "module = 3"),
    )
    assert refusal(file).splitlines() == [
        "backends.toml: [protocol] epochs: expected greater than 0; received 0",
        f"backends.toml: [specs.mnist-mlp] optimizer: {OPTIMIZERS}; received 'rmspropp'. Did you "
        "mean 'rmsprop'?",
        "backends.toml: [backends.tensorflow] arms.keras.module: expected one of "
        + MODULES
        + "; received 3.",
    ]


def test_several_faults_in_one_table_are_a_line_each(tmp_path):
    file = edited(tmp_path, ("epochs = 5", "epochs = 0"), ('threads = "auto"', 'threads = "many"'))
    assert refusal(file).splitlines() == [
        "backends.toml: [protocol] epochs: expected greater than 0; received 0",
        f"backends.toml: [protocol] threads: {CORES}; received 'many'",
    ]


def test_an_unknown_key_hides_no_other_fault_of_its_table(tmp_path):
    file = edited(
        tmp_path,
        ("epochs = 5", "epoch = 5"),
        ("time_limit_s = 1800", "time_limit = 5"),
        ('threads = "auto"', "threads = 0"),
    )
    assert sorted(refusal(file).splitlines()) == [
        f"backends.toml: [protocol] threads: {CORES}; received 0",
        f"backends.toml: [protocol]: unknown key: {PROTOCOL_KEYS}; received 'epoch'. Did you mean "
        "'epochs'?",
        f"backends.toml: [protocol]: unknown key: {PROTOCOL_KEYS}; received 'time_limit'. Did you "
        "mean 'time_limit_s'?",
    ]


def test_an_empty_file_says_nothing_that_differs_from_the_package_s_own(tmp_path, real):
    (tmp_path / "backends.toml").write_bytes(b"")
    config = project.open_project(tmp_path / "backends.toml")[1]
    assert (config.specs, config.backends) == (real.specs, real.backends)


def test_a_file_that_is_not_utf8_is_no_toml(tmp_path):
    (tmp_path / "backends.toml").write_bytes(b"# \xff\n")
    assert refusal(tmp_path / "backends.toml").startswith("backends.toml: not valid TOML: ")


def test_a_file_with_more_faults_than_anybody_reads_shows_ten(tmp_path):
    (tmp_path / "backends.toml").write_text("".join(f"key{number} = 1\n" for number in range(5000)))
    said = refusal(tmp_path / "backends.toml").splitlines()
    assert (len(said), said[-1]) == (11, "backends.toml: and 4990 more")


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "large").write_bytes(b"#" * 300_000)
    said = {
        file: refusal(file)
        for file in (
            tmp_path / "fifo",
            Path("/dev/zero"),
            tmp_path,
            tmp_path / "loop",
            tmp_path / "large",
        )
    }
    reasons = (
        ["expected a regular file"] * 2
        + ["Is a directory"]
        + ["Too many levels of symbolic links", "expected at most 256 KiB"]
    )
    assert list(said.values()) == [
        f"{file}: cannot be read ({reason}). Name another file: --config FILE"
        for file, reason in zip(said, reasons, strict=True)
    ]


def test_a_missing_file_is_named_with_what_to_type(tmp_path):
    missing = tmp_path / "none.toml"
    assert refusal(missing) == (
        f"{missing}: cannot be read (No such file or directory). Name another file: --config FILE"
    )


def test_the_nearest_file_is_found_from_a_folder_below(tmp_path):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "backends.toml").touch()
    assert project.find(below) == tmp_path / "backends.toml"


def test_where_no_file_is_found_the_package_s_own_holds_for_the_caller_s_folder(
    tmp_path, monkeypatch, real
):
    assert project.find(tmp_path) is None
    monkeypatch.chdir(tmp_path)
    assert project.open_project(None) == (tmp_path, real)


def test_a_table_says_only_what_differs_from_the_package_s_own(tmp_path, real):
    (tmp_path / "backends.toml").write_text(
        '[backends.jax]\npython = "mine/bin/python"\n[backends.Jax_Next]\nframework = "jax"\n'
        'requirements = { cpu = ["jax"], gpu = ["jax"] }\n'
    )
    config = project.open_project(tmp_path / "backends.toml")[1]
    own = real.backends["jax"]
    assert config.specs == real.specs
    assert config.backends["jax"] == own.model_copy(update={"python": "mine/bin/python"})
    newer = config.backends["Jax_Next"]
    assert (newer.environment, newer.requirements.cpu) == ("train-jax-next", ("jax",))
    assert (newer.arms, newer.cpu_variables) == (own.arms, own.cpu_variables)


def test_the_real_file_has_seven_specs_the_default_first(real):
    assert list(real.specs) == [
        *("mnist-mlp", "mnist-mlp-logits", "mnist-mlp-adam", "mnist-mlp-adam-logits"),
        *("mnist-naive", "mnist-naive-native", "mnist-torch-native"),
    ]


def test_the_real_file_has_four_backends_each_with_its_arms(real):
    assert {name: list(backend.arms) for name, backend in real.backends.items()} == {
        "tensorflow": [
            "keras",
            "keras-tuned",
            "compiled",
            "naive",
            "naive-optimizer",
            "naive-ops",
            "native",
            "native-idiomatic",
        ],
        "jax": ["keras", "keras-tuned", "compiled", "naive", "native", "native-idiomatic"],
        "torch": ["keras", "lean", "compiled", "naive", "native", "native-idiomatic"],
        "numpy": ["naive"],
    }


def test_a_spec_that_says_nothing_of_them_shuffles_equal_inputs_for_the_protocol_s_epochs(real):
    silent = real.specs["mnist-mlp"]
    assert (silent.epochs, silent.initializer, silent.shuffle, silent.inputs) == (
        None,
        "glorot_uniform",
        True,
        "equal",
    )


def test_an_arm_s_options_are_kept(real):
    arms = real.backends["tensorflow"].arms
    assert (arms["naive"].options, arms["naive-ops"].options) == ({}, {"operations": "keras"})


def test_what_an_arm_s_module_says_of_itself_is_read_with_its_default_first():
    assert read_declaration("naive.tensorflow", "OPTIONS") == {
        "operations": ("tensorflow", "keras"),
        "update": ("by_hand", "keras"),
    }


def test_a_module_that_says_nothing_of_itself_has_nothing_to_ask_for():
    assert read_declaration("compiled.jax", "OPTIONS") == {}


def test_the_spec_is_the_first_where_none_is_named(real):
    assert real.spec(None) == ("mnist-mlp", real.specs["mnist-mlp"])


def test_a_spec_is_found_by_its_name(real):
    assert real.spec("mnist-mlp-adam") == ("mnist-mlp-adam", real.specs["mnist-mlp-adam"])


def test_an_unknown_spec_is_answered_with_the_nearest(real):
    with pytest.raises(ConfigError) as caught:
        real.spec("mnist-mpl")
    assert str(caught.value) == (
        "--spec: expected one of mnist-mlp, mnist-mlp-logits, mnist-mlp-adam, "
        "mnist-mlp-adam-logits, mnist-naive, mnist-naive-native, "
        "mnist-torch-native; received 'mnist-mpl'. Did you mean 'mnist-mlp'?"
    )


def test_all_backends_are_chosen_where_none_is_named(real):
    assert real.choose_backends(()) == real.backends


def test_backends_come_in_the_order_named_and_once(real):
    assert list(real.choose_backends(["torch", "jax", "torch"])) == ["torch", "jax"]


def test_an_unknown_backend_is_answered_with_the_nearest(real):
    with pytest.raises(ConfigError) as caught:
        real.choose_backends(["jax", "tensorflw"])
    assert str(caught.value) == (
        "backend: expected one of tensorflow, jax, torch, numpy; received 'tensorflw'. Did you "
        "mean 'tensorflow'?"
    )


def test_an_argument_goes_before_the_file(real):
    assert config.override_protocol(
        real.protocol, epochs=2, seeds=(3, 4)
    ) == real.protocol.model_copy(update={"epochs": 2, "seeds": (3, 4)})


def test_an_argument_not_given_leaves_the_file_s_value(real):
    assert (
        config.override_protocol(
            real.protocol, epochs=None, seeds=None, threads=None, time_limit_s=None
        )
        == real.protocol
    )


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (
            {"epochs": 1000, "seeds": tuple(range(11))},
            "--epochs: expected at most 10000 of all seeds together; received 11000: the orders "
            "of 60000 samples take 2.5 GiB",
        ),
        ({"epochs": 0}, "--epochs: expected greater than 0; received 0"),
        ({"seeds": (-1,)}, "--seed: expected greater than or equal to 0; received -1"),
        ({"threads": "many"}, f"--threads: {CORES}; received 'many'"),
        ({"time_limit_s": -1.0}, "--time-limit: expected greater than 0; received -1.0"),
    ],
    ids=["both", "epochs", "seed", "threads", "time-limit"],
)
def test_an_impossible_argument_is_named_as_typed(real, argument, sentence):
    with pytest.raises(ConfigError) as caught:
        config.override_protocol(real.protocol, **argument)
    assert str(caught.value) == sentence


def test_one_more_layer_is_only_a_change_of_data(tmp_path):
    second = '  { name = "second", units = 64, activation = "relu" },\n'
    spec = config.load(
        edited(tmp_path, ('  { name = "output"', f'{second}  {{ name = "output"'))
    ).spec(None)[1]
    assert [(layer.name, layer.units) for layer in spec.layers] == [
        ("hidden", 512),
        ("second", 64),
        ("output", 10),
    ]


def test_the_optimizer_s_defaults_are_those_of_keras(real):
    assert [
        spec.optimizer.model_dump()
        for spec in (real.specs["mnist-mlp"], real.specs["mnist-mlp-adam"])
    ] == [
        {"name": "rmsprop", "learning_rate": 0.001, "rho": 0.9, "epsilon": 1e-7},
        {"name": "adam", "learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    ]


def test_a_spec_cannot_be_changed(real):
    with pytest.raises(ValueError, match="frozen"):
        real.specs["mnist-mlp"].batch_size = 64


def test_a_backend_without_a_module_that_speaks_for_it_is_named(tmp_path):
    tables = ("[backends.jax]", "[backends.jax.requirements]", "[backends.jax.arms]")
    file = edited(tmp_path, *((table, table.replace("jax", "jaxx")) for table in tables))
    said = (
        "backends.toml: [backends.jaxx] framework: expected one of jax, numpy, tensorflow, torch; "
        "received 'jaxx'. Did you mean 'jax'?"
    )
    assert refusal(file) == said


def test_a_table_that_says_nothing_is_the_package_s_backend_in_its_own_environment(tmp_path):
    (file := tmp_path / "backends.toml").write_text(
        '[backends.tensorflow]\n[backends.next]\nframework = "tensorflow"\n'
    )
    found, own = config.load(file).backends, config.load(REAL).backends["tensorflow"]
    assert found["tensorflow"] == own
    assert (found["next"].environment, found["next"].arms) == ("train-next", own.arms)
