"""The bare textbook program, as a reader of the book would type it; it only waits for its turn
before each `fit`.

`python textbook.py DATASET_FOLDER ORDER`: for each line of its input a `fit` of so many epochs;
prints the seconds of each. ORDER "shuffled" is the book's, `fit`'s default; "fixed" keeps the
samples in their order, as the harness does, which puts them in order before its clock starts.
Nothing of the harness is imported.
"""

import sys
import time

import keras
import numpy as np

folder, order = sys.argv[1:]
train_images, train_labels = (np.load(f"{folder}/{name}.npy") for name in ("x_train", "y_train"))
train_images = train_images.reshape((60000, 28 * 28)).astype("float32") / 255

model = keras.Sequential(
    [keras.layers.Dense(512, activation="relu"), keras.layers.Dense(10, activation="softmax")]
)
model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])


class Clock(keras.callbacks.Callback):
    """Time each epoch and say so. Epoch hooks only: a batch hook would change how `fit` runs."""

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        print(time.perf_counter() - self.start, flush=True)


for line in sys.stdin:
    shuffle = order == "shuffled"
    model.fit(
        train_images,
        train_labels,
        epochs=int(line),
        batch_size=128,
        shuffle=shuffle,
        verbose=0,
        callbacks=[Clock()],
    )
