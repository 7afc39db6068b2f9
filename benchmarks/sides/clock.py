"""What the Keras peers share: when each epoch ended, and the JSON line."""

import argparse
import json
import time
from pathlib import Path

import keras


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", type=Path, help="holds train, valid and test")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--score", action="store_true", help="answer the test part at the end")
    return parser.parse_args()


class Clock(keras.callbacks.Callback):
    """Seconds since the imports were done."""

    def __init__(self) -> None:
        super().__init__()
        self.started = time.perf_counter()
        self.ends: list[float] = []
        self.train_s: list[float] = []
        self.val_accuracy: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter()

    def on_test_begin(self, logs=None):  # validation begins where training of the epoch ends
        self.train_s.append(time.perf_counter() - self.begun)

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(time.perf_counter() - self.started)
        self.val_accuracy.append(float(logs["val_accuracy"]))

    def say(self, n_train: int, n_valid: int, probs: dict[str, float]) -> None:
        line = {
            "n_train": n_train,
            "n_valid": n_valid,
            "ends": self.ends,
            "train_s": self.train_s,
            "val_accuracy": self.val_accuracy,
        }
        print(json.dumps(line | ({"probs": probs} if probs else {})))
