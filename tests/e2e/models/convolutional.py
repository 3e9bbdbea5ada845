"""A small convolutional network with batch normalisation, pooling and dropout, as a library's user
would write it.
"""

import keras


def build():
    """Return the model, compiled; its batch is drawn from a seed."""
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(8, 3, name="first"),
            keras.layers.BatchNormalization(name="normal"),
            keras.layers.Activation("relu", name="bent"),
            keras.layers.MaxPooling2D(name="pooled"),
            keras.layers.Conv2D(8, 3, padding="same", activation="gelu", name="second"),
            keras.layers.GlobalAveragePooling2D(name="mean"),
            keras.layers.Dropout(0.3, name="dropped"),
            keras.layers.Dense(5, activation="softmax", name="classes"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model
