"""A report with every part filled, of invented numbers: for tests of the page and of browsers."""

import dataclasses
import functools

import numpy as np

from fieldmark import rng
from fieldmark.evaluation.baselines import COLOURS, MOST_FREQUENT, NEAREST, Baseline
from fieldmark.evaluation.doubt import measure_doubt
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.more_data import LearningPoint
from fieldmark.evaluation.page_facts import (
    Failure,
    HeadPoint,
    MixUp,
    NearestPicture,
    RateTest,
    ReportFacts,
)
from fieldmark.evaluation.repeats import Outcome, summarize
from fieldmark.evaluation.report import measure
from fieldmark.evaluation.risk_coverage import risk_coverage
from fieldmark.evaluation.slices import Slice, Slices
from fieldmark.evaluation.thumbnails import Picture
from fieldmark.modalities.encode import encode_jpeg


def answers(n_classes, n, n_present=None):
    """Scores and labels; four of five are right, and the surer the more often."""
    draws = rng.derive(0, "page")
    labels = draws.integers(0, n_present or n_classes, n)
    right = draws.random(n) < 0.8
    predicted = np.where(right, labels, draws.integers(0, n_classes, n))
    height = np.where(right, draws.uniform(0.6, 0.95, n), draws.uniform(0.4, 0.8, n))
    probs = np.repeat(((1 - height) / n_classes)[:, None], n_classes, axis=1)
    probs[np.arange(n), predicted] += height
    return probs, labels


def share(value):
    return Measurement("share", value, value - 0.05, value + 0.05, 120)


@functools.cache
def doubt_of(n_classes, promise):
    probs, labels = answers(n_classes, 200)
    decisions = ["accept" if row.max() > 0.8 else "unsure" for row in probs]
    return measure_doubt(probs, labels, decisions, temperature=1.3, promise=promise, seed=0)


@functools.cache
def report_of(classes, n=200, n_present=None):
    probs, labels = answers(len(classes), n, n_present)
    return measure(
        probs,
        labels,
        tuple(classes),
        baseline_class=classes[0],
        conditions={"part": "test", "threads": "2"},
        seed=0,
    )


@functools.cache
def thumbnail(size=128):
    noise = rng.derive(1, "jpeg").integers(0, 256, (size, size, 3))
    return encode_jpeg(noise.astype(np.uint8))


@functools.cache
def repeats_of():
    """Two folds of forty pictures each, in two repeats."""
    outcomes = [
        Outcome(
            repeat=repeat,
            fold=fold,
            seed=repeat,
            at=np.arange(40) + 40 * (fold - 1),
            right=np.arange(40) % 5 != repeat,
            losses=np.full(40, 0.3),
            seconds=1.0,
        )
        for repeat in (1, 2)
        for fold in (1, 2)
    ]
    return summarize(outcomes, np.arange(80), n_folds=2, n_repeats=2, seed=0)


def facts_of(classes=("daisy", "rose", "tulip"), *, words=("plain",), **changes):
    """Fill every field; ``words`` turn up wherever text can come from outside."""
    words = tuple(words)
    history = tuple(
        {"epoch": n, "loss": 2 / n, "val_loss": 2.1 / n, "accuracy": 0.8, "val_accuracy": 0.7}
        for n in range(1, 8)
    )
    report = report_of(tuple(classes))
    made = ReportFacts(
        name=words[0],
        report=dataclasses.replace(
            report,
            doubt=doubt_of(len(classes), words[0]),
            baselines=tuple(
                Baseline(name=name, what=words[0], accuracy=share(0.4), ahead=share(0.3))
                for name in (MOST_FREQUENT, COLOURS, NEAREST, *words)
            ),
        ),
        n_looks=2,
        created=words[-1],
        model_id="sha256:" + "ab" * 32,
        model_path=f"runs/{words[0]}/model.fieldmark",
        notes=words,
        data_folder=words[0],
        counts={name: {"train": 700, "valid": 150, "test": 150} for name in classes},
        contact=tuple(Picture(path=name, label=name, thumbnail=thumbnail(32)) for name in classes),
        together=words[0],
        left_out=tuple({"path": word, "code": word, "reason": word} for word in words),
        network="INPUT 64x64x3 -> CONV 32 3x3 -> FC",
        layers=tuple(
            {"number": 1, "layer": w, "does": w, "volume": w, "weights": 896, "why": w}
            for w in words
        ),
        network_notes=words,
        history=history,
        best_epoch=5,
        stopped=words[0],
        seconds=200.0,
        rate_test=RateTest((1e-4, 1e-3, 1e-2, 1e-1), (2.0, 1.5, 1.8, float("nan")), 1e-3),
        head_path=tuple(
            HeadPoint(
                strength=10.0**power,
                n_columns=1280,
                log_loss=0.5 + 0.1 * power**2,
                log_loss_se=0.02,
                accuracy=0.8,
                chosen=power == 0,
            )
            for power in range(-2, 3)
        ),
        settings={word: word for word in words},
        risk=risk_coverage(*answers(len(classes), 200)),
        mix_ups=tuple(
            MixUp(label=classes[0], predicted=other, files=words) for other in classes[1:3]
        ),
        more_data=(
            LearningPoint(n=100, value=0.7, low=0.65, high=0.75, forecast=False),
            LearningPoint(n=200, value=0.75, low=0.7, high=0.8, forecast=False),
            LearningPoint(n=400, value=0.79, low=0.7, high=0.85, forecast=True),
        ),
        more_data_text=words[0],
        repeats=repeats_of(),
        slices=Slices(
            found=tuple(
                Slice(
                    fact=word,
                    value=word,
                    accuracy=share(0.5),
                    rest=share(0.8),
                    p_value=0.001,
                    p_adjusted=0.01,
                )
                for word in words
            ),
            n_facts=3,
            not_looked_at=words,
        ),
        failures=tuple(
            Failure(
                file=word,
                label=word,
                predicted=classes[0],
                score=0.934,
                jpeg=thumbnail(),
                p_wrong_label=0.83,
                nearest=(
                    NearestPicture(file=word, label=word, similarity=0.91, jpeg=thumbnail(32)),
                ),
            )
            for word in words
        ),
        command=words[0],
        seed=7,
        versions={word: word for word in words},
        methods=words[0],
        card=words[0],
        data_sheet=words[0],
    )
    return dataclasses.replace(made, **changes)
