"""Words looked up and averaged, trained with Adam.

A word that stands in a batch several times has several gradients, which belong added up before Adam
squares them. Keras 3.15 on TensorFlow squares them one by one: gradients are the other backends',
the second moment and the update are not.
"""

import keras


def build():
    """Return the model, compiled; its batch is drawn from a seed."""
    words = keras.Input((10,), dtype="int32")
    mean = keras.layers.GlobalAveragePooling1D(name="mean")(
        keras.layers.Embedding(50, 8, name="words")(words)
    )
    model = keras.Model(words, keras.layers.Dense(3, activation="softmax", name="kind")(mean))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model
