"""The tutorial's whole job: ``python train.py FOLDER [EPOCHS]``."""

import sys
from pathlib import Path

import fieldmark as fm

folder = Path(sys.argv[1])
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 25

settings = fm.Settings().changed("train", {"recipe": "article"})
run = fm.train(folder, net="tutorial", epochs=epochs, settings=settings)

print(run.report.accuracy)
for answer in run.predict_all(sorted(folder.glob("single_prediction/*"))):
    print(answer.file, answer.reason if isinstance(answer, fm.Unread) else answer.label)
print(run.bundle)
