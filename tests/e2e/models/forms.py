"""The same 100 samples in each form that fit takes."""

import numpy as np

LENGTHS = 32, 32, 32, 4


def arrays():
    random = np.random.default_rng(0)
    x = {
        "left": random.random((100, 3), np.float32),
        "right": random.random((100, 2, 2), np.float32),
    }
    return x, random.integers(0, 5, 100).astype(np.int32)


def batches():
    (x, y), begin = arrays(), 0
    for length in LENGTHS:
        chosen = slice(begin, begin + length)
        yield {name: each[chosen] for name, each in x.items()}, y[chosen]
        begin += length


def by_name():
    x, y = arrays()
    return {"x": x, "y": y, "batch_size": 20}


def py_dataset():
    import keras

    class Given(keras.utils.PyDataset):
        def __len__(self):
            return len(LENGTHS)

        def __getitem__(self, number):
            return list(batches())[number]

    return Given()


def generator():
    yield from batches()


def tf_data():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(arrays()).batch(32)


def loader():
    import torch

    x, y = arrays()
    samples = [({name: each[n] for name, each in x.items()}, y[n]) for n in range(100)]
    return torch.utils.data.DataLoader(samples, batch_size=32)


def fewer():
    x, y = arrays()
    return {name: each[:64] for name, each in x.items()}, y[:64]


def endless():
    while True:
        yield from batches()


def cut():
    x, y = arrays()
    return {"x": x, "y": y, "class_weight": {0: 3.0, 2: 0.5}, "validation_split": 0.33}


def double():
    x, y = arrays()
    return x["left"].astype(np.float64), y


def two_pipelines():
    return {"x": batches(), "validation_data": batches()}
