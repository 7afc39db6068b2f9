"""Subject: fieldmark's Python API, from a folder to a finished run."""

import argparse
import json
import shutil
import time
from pathlib import Path

import fieldmark as fm
from fieldmark.training import backend
from fieldmark.workflow.machine import cores

parser = argparse.ArgumentParser()
parser.add_argument("data", type=Path)
parser.add_argument("--net", default="tutorial")
parser.add_argument("--recipe", default="article")
parser.add_argument("--epochs", type=int)
parser.add_argument("--time", default="")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--score", action="store_true", help="answer the test part at the end")
parser.add_argument("--keep", type=Path, help="copy the model file there")
parser.add_argument("--cold", action="store_true", help="the clock counts importing Keras, too")
given = parser.parse_args()

if not given.cold:
    backend.prepare(cores())  # the peers import Keras before their clock starts, too
started = time.perf_counter()

said = {}
epochs = []


def listen(event):
    now = time.perf_counter() - started
    if event.name == "epoch":
        epochs.append((now, event))
    elif event.name != "progress":
        said[event.name] = (now, event)


settings = fm.Settings().changed(
    "train", {"recipe": given.recipe, "seed": given.seed, "time": given.time}
)
run = fm.train(
    given.data, given.net, epochs=given.epochs or "auto", settings=settings, listen=listen
)

probs = {}
if given.score:
    model = fm.open(run.bundle)
    test = given.data / "test_set"
    for answer in model.predict_files(sorted(test.glob("*/*"))):
        score = next(each.score for each in answer.scores if each.label == model.classes[1])
        probs[Path(answer.file).relative_to(test).as_posix()] = score
if given.keep:
    shutil.copy(run.bundle, given.keep)
checked = said["data_checked"][1]
line = {
    "n_train": checked.train,
    "n_valid": checked.valid,
    "ends": [at for at, _ in epochs],
    "train_s": [event.train_seconds for _, event in epochs],
    "val_accuracy": [event.val_accuracy for _, event in epochs],
    "best_epoch": said["early_stop"][1].best_epoch,
    "stages": {name: at for name, (at, _) in said.items()},
    "run_s": said["run_finished"][1].seconds,
}
print(json.dumps(line | ({"probs": probs} if probs else {})))
