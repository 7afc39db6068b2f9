"""A small run that never was, for the texts that are written of runs: one per way of training."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from fieldmark.evaluation.baselines import Baseline
from fieldmark.evaluation.calibration import Bin, Reliability
from fieldmark.evaluation.card_facts import (
    CardFacts,
    DataFacts,
    SolvedHead,
    StartWeights,
    Together,
    TrainingFacts,
    TunedStep,
    Unused,
)
from fieldmark.evaluation.doubt import Doubt
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.report import ClassResult, Report
from fieldmark.evaluation.slices import Slice, Slices
from fieldmark.modalities.shapes import Shapes, Span

CLASSES: Final = ("daisy", "rose", "tulip")
WAYS: Final = ("solved", "undone", "fine-tuned", "scratch", "article", "foreign")
PROMISE: Final = (
    "With a confidence of 95 %, at most 5 % of the accepted answers are wrong on pictures like "
    "the validation pictures."
)


def share(name: str, right: int, n: int, low: float, high: float) -> Measurement:
    return Measurement(name, right / n, low, high, n)


def average(name: str, value: float, unit: str = "score", spread: float = 0.05) -> Measurement:
    return Measurement(
        name, value, value - spread, value + spread, 150, method="BCa bootstrap", unit=unit
    )


def reliability(ece: float) -> Reliability:
    return Reliability(
        bins=(Bin(75, 0.7, 0.72), Bin(75, 0.95, 0.93)),
        ece=ece,
        low=ece / 2,
        high=2 * ece,
        null_mean=0.02,
        null_high=0.05,
        n=150,
    )


def report(classes: tuple[str, str, str] = CLASSES) -> Report:
    """135 of 150 are right; the third class has no test pictures."""
    one, two, three = classes
    return Report(
        classes=classes,
        accuracy=share("accuracy", 135, 150, 0.842, 0.938),
        log_loss=average("log loss", 0.31, "nats"),
        macro_f1=average("macro F1", 0.9),
        baseline=share("baseline", 80, 150, 0.454, 0.611),
        baseline_class=one,
        per_class=(
            ClassResult(
                name=one,
                n=80,
                recall=share("recall", 75, 80, 0.862, 0.973),
                precision=share("precision", 75, 85, 0.796, 0.935),
                mistaken_for=(two, 5),
            ),
            ClassResult(
                name=two,
                n=70,
                recall=share("recall", 60, 70, 0.757, 0.921),
                precision=None,
                mistaken_for=(one, 10),
            ),
        ),
        confusion=((75, 5, 0), (10, 60, 0), (0, 0, 0)),
        missing_classes=(three,),
        n=150,
        conditions={"part": "test part of flowers, read once", "engine": "onnxruntime"},
        balanced_accuracy=average("balanced accuracy", 0.897, "fraction"),
        brier=average("Brier", 0.08),
        auc=average("AUC", 0.94),
        doubt=Doubt(
            coverage=share("coverage", 120, 150, 0.729, 0.856),
            error=share("error among accepted", 3, 120, 0.009, 0.071),
            unknown=share("unknown", 3, 150, 0.007, 0.057),
            before=reliability(0.06),
            after=reliability(0.03),
            promise=PROMISE,
        ),
    )


def data(classes: tuple[str, str, str] = CLASSES, **changed: Any) -> DataFacts:
    one, two, three = classes
    found = DataFacts(
        name="flowers",
        layout="folders",
        counts={
            one: {"train": 400, "valid": 90, "test": 80},
            two: {"train": 350, "valid": 60, "test": 70},
            three: {"train": 40, "valid": 6, "test": 0},
        },
        unused=(
            Unused("daisy/broken.jpg", "truncated", "the file ends too soon"),
            *(Unused(f"rose/copy {n}.jpg", "exact-copy", "the same file") for n in range(7)),
            Unused("notes.txt", "not-a-picture", "suffix .txt"),
        ),
        shapes=Shapes(
            n=1096,
            width=Span(159, 320, 1024),
            height=Span(120, 240, 768),
            size=Span(2_301, 38_110, 412_345),
            formats={"JPEG": 1090, "PNG": 6},
            n_sizes=41,
        ),
        same_pictures="0f" * 32,
        same_parts="a7" * 32,
        groups=Together(0, 0),
        copies=Together(12, 25),
        groups_from="",
        audited=True,
        cleaned=True,
        split_seed=3,
        split_file="",
        shares=(0.15, 0.15),
        fix_list="",
    )
    return dataclasses.replace(found, **changed)


LITE0: Final = StartWeights(
    name="efficientnet-lite0",
    origin="somebody",
    licence="Apache-2.0",
    reference="Tan and Le, EfficientNet, ICML 2019, arXiv:1905.11946",
    sha256="57" * 32,
)
SOLVED: Final = SolvedHead(
    method="logistic",
    n_features=1280,
    strength=0.1,
    n_folds=5,
    accuracy=share("cross-validated accuracy", 711, 790, 0.877, 0.919),
)
HEAD_SETTINGS: Final = {"method": "auto", "folds": 5, "balance": "none", "engine": "OpenVINO"}
SETTINGS: Final = {
    "optimizer": "adamw",
    "lr": 0.004,
    "schedule": "one-cycle",
    "batch": 32,
    "augment": "strong",
    "ema": 0.998,
    "weight_decay": 0.05,
}
ARTICLE: Final = SETTINGS | {
    "optimizer": "adam",
    "lr": 0.001,
    "schedule": "constant",
    "augment": "article",
    "ema": 0.0,
}


def step(what: str, kept: bool) -> TunedStep:
    return TunedStep(
        what=what,
        kept=kept,
        share=0.5,
        before=share("validation accuracy", 138, 156, 0.825, 0.926),
        after=share("validation accuracy", 142, 156, 0.855, 0.945),
    )


def training(way: str = "solved", **changed: Any) -> TrainingFacts:
    base = TrainingFacts(
        way="solved",
        recipe="tuned",
        settings=HEAD_SETTINGS,
        network="INPUT 224x224x3 -> BACKBONE efficientnet-lite0 -> FC",
        n_weights=3_374_851,
        multiply_adds=385_000_000,
        size=(224, 224),
        fit="crop",
        backbone="efficientnet-lite0",
        start=LITE0,
        head=SOLVED,
        stopped="The head is solved.",
        seed=3,
        threads=2,
        temperature=1.23,
        rules=("The scores were divided by a temperature of 1.23.", PROMISE),
    )
    trained = {
        "way": "scratch",
        "network": "INPUT 64x64x3 -> CONV 32 3x3 -> RELU -> POOL 2x2 -> FC 128 -> RELU -> FC",
        "n_weights": 3_937_000,
        "multiply_adds": 7_000_000,
        "size": (64, 64),
        "backbone": "",
        "start": None,
        "head": None,
        "n_epochs": 25,
        "kept_epoch": 25,
        "kept": {"accuracy": 0.99, "val_accuracy": 0.8},
    }
    ways: dict[str, dict[str, Any]] = {
        "solved": {},
        "undone": {"tuning": (step("blocks", False),)},
        "fine-tuned": {
            "way": "fine-tuned",
            "settings": SETTINGS,
            "tuning": (step("blocks", True), step("all", False)),
        },
        "scratch": trained | {"settings": SETTINGS, "temperature": 1.0},
        "article": trained | {"settings": ARTICLE, "recipe": "article"},
        "foreign": {
            "network": "INPUT 224x224x3 -> BACKBONE onnx:a-net.onnx scale unit -> FC",
            "backbone": "onnx:a-net.onnx",
            "start": None,
            "origin": ("Backbone onnx:a-net.onnx, output 'pooled', used as it is.",),
        },
    }
    return dataclasses.replace(base, **(ways[way] | changed))


def facts(way: str = "solved", **changed: Any) -> CardFacts:
    found = CardFacts(
        name="flowers-1",
        report=report(),
        data=data(),
        training=training(way),
        versions={"python": "3.12.1", "fieldmark": "0.1.0", "onnxruntime": "1.22.0"},
        machine="A Processor 3000, OpenVINO",
        seconds=81.4,
        created="2026-01-02T03:04:05+00:00",
        command="fieldmark train flowers",
    )
    return dataclasses.replace(found, **changed)


def baselines() -> tuple[Baseline, ...]:
    return (
        Baseline(
            name="colours",
            what="Looks at the colours | nothing else.",
            accuracy=share("accuracy", 90, 150, 0.52, 0.675),
            ahead=Measurement("ahead", 0.3, 0.21, 0.38, 150),
        ),
        Baseline(
            name="flowers-0",
            what="An earlier model.",
            accuracy=share("accuracy", 130, 150, 0.803, 0.912),
            ahead=None,
        ),
    )


def slices() -> Slices:
    worse = Slice(
        fact="brightness",
        value="darkest quarter (below 61 of 255)",
        accuracy=share("accuracy", 28, 38, 0.58, 0.85),
        rest=share("accuracy", 107, 112, 0.9, 0.98),
        p_value=0.0004,
        p_adjusted=0.0032,
    )
    return Slices(found=(worse,), n_facts=2)
