"""Peer: the same job by Keras with tf.data, as someone would write it who wants it fast.

Files are decoded in parallel and kept in memory after the first epoch; Keras' own augmentation
layers run on whole batches inside the pipeline, ahead of training; sixteen steps per call.
"""

import math

import keras
import tensorflow as tf
from clock import Clock, arguments
from keras import layers

given = arguments()
clock = Clock()
keras.utils.set_random_seed(given.seed)
SHEAR = math.radians(0.2)  # shear_range=0.2 meant degrees; here it is a fraction


def pictures(part, shuffle=False):
    return keras.utils.image_dataset_from_directory(
        given.parts / part,
        label_mode="binary",
        image_size=(64, 64),
        batch_size=None,
        shuffle=shuffle,
        seed=given.seed,
        verbose=False,
    )


augment = keras.Sequential(
    [
        layers.RandomFlip("horizontal"),
        layers.RandomShear(x_factor=(0.0, SHEAR), fill_mode="nearest"),
        layers.RandomZoom((-0.2, 0.2), (-0.2, 0.2), fill_mode="nearest"),
    ]
)
found = {part: pictures(part, shuffle=part == "train") for part in ("train", "valid", "test")}
n_train, n_valid = (int(found[part].cardinality()) for part in ("train", "valid"))
train = (
    found["train"]
    .cache()
    .shuffle(1024, seed=given.seed)
    .batch(32)
    .map(lambda x, y: (augment(x, training=True) / 255.0, y), tf.data.AUTOTUNE)
    .prefetch(tf.data.AUTOTUNE)
)
valid, test = (
    found[part].batch(256).map(lambda x, y: (x / 255.0, y)).cache().prefetch(tf.data.AUTOTUNE)
    for part in ("valid", "test")
)

model = keras.Sequential(
    [
        layers.Input((64, 64, 3)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"], steps_per_execution=16)
model.fit(train, epochs=given.epochs, validation_data=valid, verbose=0, callbacks=[clock])

probs = {}
if given.score:
    names = [path.split("/test/", 1)[1] for path in found["test"].file_paths]
    probs = dict(zip(names, model.predict(test, verbose=0)[:, 0].tolist(), strict=True))
clock.say(n_train, n_valid, probs)
