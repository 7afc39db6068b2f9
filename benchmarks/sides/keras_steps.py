"""Peer: plain Keras from the saved start, on the saved batches."""

import json
import sys

import keras
import numpy as np
from keras import layers

start = np.load(sys.argv[1])
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
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.set_weights([start[name] for name in start.files if name.endswith(("/kernel", "/bias"))])
n_steps = sum(name.startswith("pixels_") for name in start.files)
losses = []
for step in range(n_steps):
    pixels = start[f"pixels_{step}"].astype("float32") / 255
    labels = start[f"labels_{step}"].astype("float32")[:, None]
    losses.append(float(model.train_on_batch(pixels, labels, return_dict=True)["loss"]))
print(json.dumps({"losses": losses}))
