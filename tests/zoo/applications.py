"""Models of keras.applications, small and untrained: is each one model on every backend?

`python -m tests.zoo.applications NAME...` asks it of those named, or of all.
"""

import resource
import sys
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[2] / "backends.toml"
SIDES = {"Xception": 71}  # the smallest it takes
NAMES = {  # NASNetMobile is not among them: Keras 3.15.1 refuses it on PyTorch
    "MobileNetV2": "mobile_net_v2",
    "ResNet50V2": "res_net_50_v2",
    "EfficientNetV2B0": "efficient_net_v2_b0",
    "DenseNet121": "dense_net_121",
    "VGG16": "vgg_16",
    "Xception": "xception",
    "MobileNetV3Small": "mobile_net_v3_small",
    "ConvNeXtTiny": "conv_next_tiny",
    "MobileNet": "mobile_net",
}


def build(name):
    """Return a model of keras.applications, compiled for ten classes."""
    import keras

    side = SIDES.get(name, 32)
    shape = {"input_shape": (side, side, 3), "weights": None, "classes": 10}
    model = getattr(keras.applications, name)(**shape)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def images():
    """Return a few images, and one of ten classes each, as `fit` would be given them."""
    import numpy as np

    random = np.random.default_rng(6)
    # Two updates an epoch and no short batch: each program takes XLA minutes to compile.
    x = random.uniform(-1, 1, (32, 32, 32, 3)).astype(np.float32)
    return {"x": x, "y": random.integers(0, 10, 32).astype(np.int32), "batch_size": 16}


def words():
    """Return rows of tokens by name, as a text model takes them, and one of four classes each."""
    import numpy as np

    tokens = np.random.default_rng(7).integers(1, 100, (40, 12)).astype(np.int32)
    ones = np.ones_like(tokens)
    x = {"token_ids": tokens, "segment_ids": 0 * ones, "padding_mask": ones}
    return {"x": x, "y": (tokens[:, 0] % 4).astype(np.int32), "batch_size": 16}


def bert_backbone():
    """Return a backbone of KerasHub's without a preset, and four classes; needs keras-hub."""
    import keras
    import keras_hub

    sizes = {"vocabulary_size": 100, "num_layers": 2, "num_heads": 2, "max_sequence_length": 12}
    backbone = keras_hub.models.BertBackbone(**sizes, hidden_dim=32, intermediate_dim=64)
    output = keras.layers.Dense(4)(backbone.output["pooled_output"])
    model = keras.Model(backbone.input, output)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def targets(*, hub=False):
    """Return the models that are trained by `harness train`, by name, each with its data."""
    file = Path(__file__)
    more = {"bert_backbone": (f"{file}:bert_backbone", f"{file}:words")} if hub else {}
    return more | {
        NAMES[name]: (f"{file}:{NAMES[name]}", f"{file}:images")
        for name in ("MobileNetV2", "EfficientNetV2B0", "ResNet50V2", "ConvNeXtTiny")
    }


def mobile_net_v2():
    return build("MobileNetV2")


def res_net_50_v2():
    return build("ResNet50V2")


def efficient_net_v2_b0():
    return build("EfficientNetV2B0")


def dense_net_121():
    return build("DenseNet121")


def vgg_16():
    return build("VGG16")


def xception():
    return build("Xception")


def mobile_net_v3_small():
    return build("MobileNetV3Small")


def conv_next_tiny():
    return build("ConvNeXtTiny")


def mobile_net():
    return build("MobileNet")


def main(*names):
    """Check each; print its verdict and CPU time; exit with 1 where one does not agree."""
    from harness.experiments.parity.model_check import check
    from harness.experiments.parity.model_document import sentences
    from harness.experiments.parity.model_plan import plan_model_check

    wrong = []
    for name in names or NAMES:
        before = cpu_s()
        what = plan_model_check(f"{__file__}:{NAMES[name]}", file=CONFIG, time_limit_s=1800)
        found = check(what)
        print(f"{name}: {cpu_s() - before:.0f} s of CPU time")
        said = [*sentences(found), *(f"! {remark}" for remark in found.remarks)]
        print(*said, sep="\n", flush=True)
        wrong += [] if found.verdict == "agrees" else [name]
    if wrong:
        sys.exit(f"not one model everywhere: {', '.join(wrong)}")


def cpu_s():
    """CPU seconds of this process and of those that it has waited for."""
    several = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(which) for which in several]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main(*sys.argv[1:])
