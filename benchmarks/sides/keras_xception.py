"""Peer: the network of Keras' example "Image classification from scratch", by plain ``model.fit``.

A small Xception at 180 x 180 pixels as the example describes it: an entry of 128 filters, blocks of
two separable convolutions with 256, 512 and 728 filters and a projected residual, 1,024 filters at
the end; flips and rotations, Adam at 3e-4. Batches of 32 and not of 128: those need 17 GB of
memory. The clock counts from the start of this script, imports included, and stops training in the
middle of an epoch. Of the finished epochs the
one with the best validation accuracy answers; without one, the last weights do.
"""

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
from pathlib import Path  # noqa: E402

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("parts", type=Path, help="holds train, valid and test")
parser.add_argument("--seconds", type=float, required=True)
parser.add_argument("--seed", type=int, default=0)
given = parser.parse_args()
keras.utils.set_random_seed(given.seed)
SIZE, BATCH = 180, 32


class Budget(keras.callbacks.Callback):
    """Ends training when the time is up; keeps the best epoch's weights."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []
        self.val_accuracy: list[float] = []
        self.best = None

    def on_train_batch_end(self, batch, logs=None):
        if time.perf_counter() - STARTED >= given.seconds:
            self.model.stop_training = True

    def on_test_batch_end(self, batch, logs=None):
        if time.perf_counter() - STARTED >= given.seconds:
            self.model.stop_evaluating = True

    def on_epoch_end(self, epoch, logs=None):
        if time.perf_counter() - STARTED >= given.seconds:
            self.model.stop_training = True
            return  # an epoch that was cut off, or not wholly validated
        self.ends.append(time.perf_counter() - STARTED)
        self.val_accuracy.append(float(logs["val_accuracy"]))
        if self.val_accuracy[-1] == max(self.val_accuracy):
            self.best = self.model.get_weights()


def pictures(part, shuffle=False):
    return keras.utils.image_dataset_from_directory(
        given.parts / part,
        label_mode="binary",
        image_size=(SIZE, SIZE),
        batch_size=BATCH,
        shuffle=shuffle,
        seed=given.seed,
        verbose=False,
    )


augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])


def network():
    pixels = keras.Input((SIZE, SIZE, 3))
    maps = layers.Rescaling(1.0 / 255)(pixels)
    maps = layers.Conv2D(128, 3, strides=2, padding="same")(maps)
    maps = layers.Activation("relu")(layers.BatchNormalization()(maps))
    entered = maps
    for width in (256, 512, 728):
        for _ in range(2):
            maps = layers.SeparableConv2D(width, 3, padding="same")(layers.Activation("relu")(maps))
            maps = layers.BatchNormalization()(maps)
        maps = layers.MaxPooling2D(3, strides=2, padding="same")(maps)
        maps = layers.add([maps, layers.Conv2D(width, 1, strides=2, padding="same")(entered)])
        entered = maps
    maps = layers.SeparableConv2D(1024, 3, padding="same")(maps)
    maps = layers.Activation("relu")(layers.BatchNormalization()(maps))
    found = layers.Dropout(0.25)(layers.GlobalAveragePooling2D()(maps))
    return keras.Model(pixels, layers.Dense(1)(found))


train, valid, test = pictures("train", shuffle=True), pictures("valid"), pictures("test")
names = [path.split("/test/", 1)[1] for path in test.file_paths]
n_train, n_valid = (len(part.file_paths) for part in (train, valid))
train = train.map(lambda x, y: (augment(x, training=True), y), tf.data.AUTOTUNE)
train, valid, test = (part.prefetch(tf.data.AUTOTUNE) for part in (train, valid, test))

model = network()
model.compile(
    keras.optimizers.Adam(3e-4),
    keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)],
)
budget = Budget()
model.fit(train, epochs=100_000, validation_data=valid, verbose=0, callbacks=[budget])
spent = time.perf_counter() - STARTED
if budget.best is not None:
    model.set_weights(budget.best)
probs = keras.ops.sigmoid(model.predict(test, verbose=0)[:, 0])
line = {
    "n_train": n_train,
    "n_valid": n_valid,
    "ends": budget.ends,
    "val_accuracy": budget.val_accuracy,
    "run_s": spent,
    "probs": dict(zip(names, [float(each) for each in probs], strict=True)),
}
print(json.dumps(line))
