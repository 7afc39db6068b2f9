"""Do decisions keep their promise? Many splits of one folder's features; strangers beside them."""

import argparse
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fieldmark.config import DecideSettings, Settings
from fieldmark.evaluation import decision, unknown
from fieldmark.evaluation.calibration import fit_temperature, reliability, softmax
from fieldmark.evaluation.decision import margins
from fieldmark.inference.runtime import Runtime
from fieldmark.modalities import MODALITIES
from fieldmark.training.head import Head, HeadSettings, solve
from fieldmark.workflow.backbone import Start
from fieldmark.workflow.choosing import choose
from fieldmark.workflow.dataset import load, prepared
from fieldmark.workflow.deciding import Evidence, decided
from fieldmark.workflow.suspecting import looked, rows_of

ERRORS = (0.01, 0.05, 0.1)
N_STRANGE = 150
WORDS = ["what", "this", "picture", "shows", "nobody", "has", "learned", "so", "it", "says"]


@dataclasses.dataclass
class Folder:
    """Features, labels and parts of a folder, and the head of its training part."""

    features: np.ndarray
    labels: np.ndarray
    part: np.ndarray
    head: Head
    n_classes: int


def opened(folder: str) -> Folder:
    manifest = prepared(load(folder).manifest, Settings()).manifest
    found = looked(manifest, threads=2)
    if found is None:
        raise SystemExit("no pretrained backbone is installed")
    examples = found.manifest.examples
    rows = rows_of(found, examples)
    part = np.array([each.split for each in examples])
    learn = np.flatnonzero(part == "train")
    head = solve(
        dataclasses.replace(
            rows,
            features=rows.features[learn],
            labels=rows.labels[learn],
            groups=rows.groups[learn],
            original=rows.original[learn],
        ),
        n_classes=len(manifest.classes),
        settings=HeadSettings(),
        seed=0,
        candidates=(1280, rows.features.shape[1]),
    )
    features = rows.features[:, : head.n_columns]
    return Folder(features, rows.labels, part, head, len(manifest.classes))


def learned(given: Folder) -> tuple[np.ndarray, np.ndarray]:
    at = np.flatnonzero(given.part == "train")[: unknown.MAX_PICTURES]
    return given.features[at], given.labels[at]


def evidence(given: Folder, at: np.ndarray) -> Evidence:
    known, labels = learned(given)
    return Evidence(
        known=known,
        known_labels=labels,
        features=given.features[at],
        logits=given.head.logits(given.features[at]),
        labels=given.labels[at],
        units=np.arange(len(at)),
        untouched=True,
    )


def promises(given: Folder, n_splits: int) -> dict[str, dict[str, float]]:
    """Draw the validation part anew, again and again, and hold the rest against the promise."""
    pool = np.flatnonzero(given.part != "train")
    known = unknown.familiar(*learned(given), given.n_classes, rng=np.random.default_rng(0))
    apart = unknown.distances(known, given.features[pool])
    logits = given.head.logits(given.features[pool])
    n_valid = int((given.part == "valid").sum())
    return drawn_anew(logits, given.labels[pool], apart, n_valid, n_splits)


def across_folds(given: Folder, n_splits: int) -> dict[str, dict[str, float]]:
    """Do the same on the training part, of which every picture was answered by a head without it.

    More pictures and more errors; distances of training pictures say nothing, so all are known.
    """
    labels = given.labels[given.part == "train"][given.head.scored]
    apart = np.zeros(len(labels))
    return drawn_anew(given.head.out_of_fold, labels, apart, len(labels) // 2, n_splits)


def drawn_anew(
    logits: np.ndarray, labels: np.ndarray, apart: np.ndarray, n_valid: int, n_splits: int
) -> dict[str, dict[str, float]]:
    wrong, ahead = logits.argmax(axis=1) != labels, margins(logits)
    told: dict[str, dict[str, float]] = {}
    for error in ERRORS:
        rows = []
        for seed in range(n_splits):
            order = np.random.default_rng(seed).permutation(len(labels))
            mine, rest = order[:n_valid], order[n_valid:]
            near = np.ones(len(labels), bool)
            if apart.any():
                near = apart < unknown.stranger_from(apart[mine], DecideSettings().unknown)
            some = mine[near[mine]]
            accept = decision.accept(logits[some], labels[some], error=error)
            taken = near & (ahead >= (np.inf if accept.margin is None else accept.margin))
            made = 1.0 if accept.error is None else accept.error
            seen, whole = wrong[rest][taken[rest]], wrong[taken]
            rows.append(
                (
                    accept.margin is not None and made <= error,
                    accept.margin is not None,
                    bool(len(seen)) and seen.mean() > made,
                    bool(len(whole)) and whole.mean() > made,
                    taken[rest].mean(),
                    seen.mean() if len(seen) else 0.0,
                )
            )
        names = ("attained", "promised", "broken_on_rest", "broken_on_all", "accepted", "error")
        told[str(error)] = dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
    return told | {"n": {"validation": n_valid, "rest": len(labels) - n_valid}}


def calibration(given: Folder) -> dict[str, float]:
    valid, test = (np.flatnonzero(given.part == part) for part in ("valid", "test"))
    fitted = fit_temperature(given.head.logits(given.features[valid]), given.labels[valid])
    logits, labels = given.head.logits(given.features[test]), given.labels[test]
    told: dict[str, float] = {"temperature": fitted.value, "n": len(test)}
    for name, value in (("before", 1.0), ("after", fitted.value)):
        found = reliability(softmax(logits, value), labels, rng=np.random.default_rng(0))
        told |= {f"{name}_{key}": getattr(found, key) for key in ("ece", "low", "high")}
        told[f"{name}_null"] = found.null_high
    return told


def auroc(known: np.ndarray, strange: np.ndarray) -> float:
    both = np.concatenate([known, strange])
    _, where, n_each = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(n_each) - (n_each - 1) / 2)[where]
    n, m = len(known), len(strange)
    return float((ranks[n:].sum() - m * (m + 1) / 2) / (n * m))


def neighbours(given: Folder, features: np.ndarray) -> np.ndarray:
    learn = unknown.normalised(given.features[given.part == "train"])
    return -np.partition(unknown.normalised(features) @ learn.T, -10, axis=1)[:, -10]


def strangers(given: Folder, sets: dict[str, np.ndarray]) -> dict[str, dict[str, dict[str, float]]]:
    """Compare ways to recognise what is unknown, and say how much is not accepted in the end."""
    valid, test = (np.flatnonzero(given.part == part) for part in ("valid", "test"))
    rules = decided(evidence(given, valid), DecideSettings(), seed=0)
    known = unknown.Familiar(**rules.arrays)
    share, margin = DecideSettings().unknown, rules.decision["accept"]["margin"]
    least = np.inf if margin is None else margin

    def energy(features: np.ndarray) -> np.ndarray:
        logits = given.head.logits(features).astype(float)
        top = logits.max(axis=1)
        return -(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))

    ways = {
        "distance": lambda features: unknown.distances(known, features),
        "10 nearest neighbours": lambda features: neighbours(given, features),
        "highest score": lambda features: -softmax(given.head.logits(features)).max(axis=1),
        "energy": energy,
    }
    told: dict[str, dict[str, dict[str, float]]] = {}
    all_sets = {"known": given.features[test], **sets}
    for way, score in ways.items():
        limit = unknown.stranger_from(score(given.features[valid]), share)
        mine = score(given.features[test])
        told[way] = {}
        for name, features in all_sets.items():
            features = features[:, : given.head.n_columns]
            found = score(features)
            refused = found >= limit
            accepted = ~refused & (margins(given.head.logits(features)) >= least)
            told[way][name] = {
                "auroc": auroc(mine, found),
                "unknown": float(refused.mean()),
                "not_accepted": float(1 - accepted.mean()),
                "n": len(found),
            }
    told["bytes"] = {"statistics": {"n": float(known.n_bytes)}}
    return told


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def text(rng: np.random.Generator) -> bytes:
    page = Image.new("RGB", (320, 240), tuple(int(v) for v in rng.integers(200, 256, 3)))
    drawing = ImageDraw.Draw(page)
    size = int(rng.integers(12, 28))
    for top in range(8, 230, int(1.4 * size)):
        words = " ".join(rng.choice(WORDS, 6))
        drawing.text((8, top), words, fill=(20, 20, 20), font=ImageFont.load_default(size=size))
    return png(np.asarray(page))


def drawn() -> dict[str, list[bytes]]:
    """Return pictures that no folder holds."""
    rng = np.random.default_rng(0)
    fine = [png(rng.integers(0, 256, (224, 224, 3))) for _ in range(N_STRANGE // 3)]
    grey = [png(rng.normal(128, 40, (224, 224, 3)).clip(0, 255)) for _ in range(N_STRANGE // 3)]
    coarse = []
    for size in [7, 28] * (N_STRANGE // 6):
        small = Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))
        coarse.append(png(np.asarray(small.resize((224, 224), Image.Resampling.BICUBIC))))
    blank = [png(np.full((200, 300, 3), rng.integers(0, 256, 3))) for _ in range(N_STRANGE)]
    texts = [text(rng) for _ in range(N_STRANGE)]
    return {"noise": [*fine, *grey, *coarse], "text": texts, "blank": blank}


def featured(runtime: Runtime, spec, files: list[bytes]) -> np.ndarray:
    pixels = np.stack([MODALITIES["image"].decode(data, spec) for data in files])
    chunks = (pixels[i : i + 8] for i in range(0, len(pixels), 8))
    return np.concatenate([each.features for each in runtime.stream(chunks, ("features",))])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--strange", nargs="*", default=[], help="folders of other things")
    parser.add_argument("--splits", type=int, default=200)
    asked = parser.parse_args()
    given = opened(asked.folder)
    choice = choose(
        Settings(), n_classes=given.n_classes, n_train=int((given.part == "train").sum())
    )
    start = Start(Settings(), choice, 2)
    sets = {}
    for folder in asked.strange:
        files = sorted(p for p in Path(folder).rglob("*") if p.suffix in (".jpg", ".png"))
        some = files[:: max(1, len(files) // (2 * N_STRANGE))]
        sets[Path(folder).name] = featured(
            start.runtime, choice.spec, [path.read_bytes() for path in some]
        )
    sets |= {name: featured(start.runtime, choice.spec, files) for name, files in drawn().items()}
    told = {
        "promises": promises(given, asked.splits),
        "across_folds": across_folds(given, asked.splits),
        "calibration": calibration(given),
        "strangers": strangers(given, sets),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
