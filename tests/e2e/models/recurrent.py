"""A classifier of sequences: an embedding, an LSTM in both directions, a GRU."""

import keras


def build():
    """Return the model, compiled; its batch is drawn from a seed, words from the embedding's own
    range.
    """
    model = keras.Sequential(
        [
            keras.Input((10,), dtype="int32"),
            keras.layers.Embedding(50, 8, name="words"),
            keras.layers.Bidirectional(
                keras.layers.LSTM(6, return_sequences=True), name="both_ways"
            ),
            keras.layers.GRU(5, name="last"),
            keras.layers.Dense(1, activation="sigmoid", name="yes"),
        ]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="binary_crossentropy")
    return model
