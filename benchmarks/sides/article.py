"""Peer: the tutorial's script, changed only where it does not run or does other work.

As in the tutorial: the network, Adam, binary cross-entropy, ImageDataGenerator with rescale,
shear_range, zoom_range and horizontal_flip, flow_from_directory at 64x64 in batches of 32.
Changed: Flatten is added; fit for fit_generator; an epoch is one pass over the training pictures;
it validates on the pictures that fieldmark validates on; ImageDataGenerator comes from where
Keras 3 keeps it; test pictures are scaled like training pictures.
"""

import keras
from clock import Clock, arguments
from keras.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D
from keras.src.legacy.preprocessing.image import ImageDataGenerator

given = arguments()
clock = Clock()
keras.utils.set_random_seed(given.seed)

classifier = keras.Sequential(
    [
        Input((64, 64, 3)),
        Conv2D(32, (3, 3), activation="relu"),
        MaxPooling2D(pool_size=(2, 2)),
        Flatten(),
        Dense(units=128, activation="relu"),
        Dense(units=1, activation="sigmoid"),
    ]
)
classifier.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])

changed = ImageDataGenerator(
    rescale=1.0 / 255, shear_range=0.2, zoom_range=0.2, horizontal_flip=True
)
plain = ImageDataGenerator(rescale=1.0 / 255)
how = {"target_size": (64, 64), "batch_size": 32, "class_mode": "binary"}
train = changed.flow_from_directory(given.parts / "train", seed=given.seed, **how)
valid = plain.flow_from_directory(given.parts / "valid", shuffle=False, **how)

classifier.fit(train, epochs=given.epochs, validation_data=valid, verbose=0, callbacks=[clock])

probs = {}
if given.score:
    test = plain.flow_from_directory(given.parts / "test", shuffle=False, **how)
    answers = classifier.predict(test, verbose=0)[:, 0].tolist()
    probs = dict(zip(test.filenames, answers, strict=True))
clock.say(train.n, valid.n, probs)
