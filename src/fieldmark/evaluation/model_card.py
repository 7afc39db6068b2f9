"""The model card: what was measured, and lines for what only a person knows. Pure.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019 (arXiv:1810.03993), below the
metadata that the Hugging Face Hub reads (``library_name``, ``pipeline_tag``, ``model-index``).
Nothing in it differs when a run is repeated: no time, no path, no command line. No licence is made
up: the model's is for its owner to choose, and the one of the start weights is named.
"""

from __future__ import annotations

import json
import shlex
from typing import Final

from fieldmark.evaluation import markdown
from fieldmark.evaluation.card_facts import CardFacts, StartWeights, TrainingFacts
from fieldmark.evaluation.doubt import Doubt
from fieldmark.evaluation.front_matter import Value, front_matter
from fieldmark.evaluation.markdown import code, left_open, plain, table
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.report import Report
from fieldmark.evaluation.slices import Slices
from fieldmark.evaluation.wording import counted

_NAMES_SHOWN: Final = 20
_MIX_UPS: Final = 10
_SLICES_SHOWN: Final = 10
_BUILT: Final = {
    "solved": "The last layer was solved on the features of a pretrained backbone that stayed as "
    "it is.",
    "fine-tuned": "The last layer was solved on the features of a pretrained backbone, then layers "
    "of the backbone were trained on too.",
    "scratch": "All weights were trained from random ones; no other pictures had a part in it.",
}


def model_card(facts: CardFacts) -> str:
    """Write the card.

    Parameters
    ----------
    facts : CardFacts
        Names in it may hold anything.

    Returns
    -------
    str
        Markdown that starts with YAML; the same facts give the same text.
    """
    sections = [
        [*front_matter(_metadata(facts), _comments(facts)), "", f"# Model {plain(facts.name)}"],
        _summary(facts),
        _uses(),
        _factors(facts.slices),
        _results(facts.report),
        _decisions(facts),
        _classes(facts.report),
        _data(facts),
        _limits(facts),
        _network(facts.training),
        _start(facts.training.start),
        _use(facts),
        _repeat(facts),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _metadata(facts: CardFacts) -> dict[str, Value]:
    """Return the fields of the Hub's specification; ``start_weights`` is one more."""
    report = facts.report
    measured = [
        ("accuracy", "accuracy", report.accuracy),
        ("f1", "macro F1", report.macro_f1),
        ("roc_auc", "AUC, one class against the rest, averaged", report.auc),
    ]
    metrics = [_metric(kind, name, one) for kind, name, one in measured if one is not None]
    start = facts.training.start
    weights: dict[str, Value] = {}
    if start is not None:
        weights = {"name": start.name, "license": start.licence, "sha256": start.sha256}
    return {
        "library_name": "fieldmark",
        "pipeline_tag": "image-classification",
        "tags": ["fieldmark", "image-classification", "cnn", "onnx"],
        "metrics": [str(each["type"]) for each in metrics],
        "start_weights": weights,
        "model-index": [
            {
                "name": facts.name,
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "Image Classification"},
                        "dataset": {
                            "type": "imagefolder",
                            "name": facts.data.name or "pictures",
                            "split": "test",
                        },
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }


def _metric(kind: str, name: str, one: Measurement) -> dict[str, Value]:
    conditions: dict[str, Value] = {
        "low": round(one.low, 6),
        "high": round(one.high, 6),
        "level": one.level,
        "n": one.n,
        "interval": one.method,
    }
    if one.n_groups is not None:
        conditions["n_groups"] = one.n_groups
    return {"type": kind, "value": round(one.value, 6), "name": name, "args": conditions}


def _comments(facts: CardFacts) -> list[str]:
    start = facts.training.start
    found = ["license: (for you to choose; an identifier of hf.co/docs/hub/repositories-licenses)"]
    if start is not None:
        found.append(f"The weights it began with are under {start.licence}: keep that notice.")
    return found


def _summary(facts: CardFacts) -> list[str]:
    report, training = facts.report, facts.training
    return [
        f"A convolutional network that tells {counted(len(report.classes), 'class')} apart: "
        f"{_names(report.classes)}.",
        "",
        f"On {counted(report.n, 'test picture')} that it never saw: **{report.accuracy}**. "
        f"{plain(report.verdict)}",
        "",
        _BUILT[training.way],
    ]


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(plain(name) for name in names[:_NAMES_SHOWN])
    rest = len(names) - _NAMES_SHOWN
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def _uses() -> list[str]:
    return [
        "## Intended use, and what is out of scope",
        "",
        left_open("What is it for, and who uses it?"),
        left_open("What must it not be used for?"),
        left_open("Whom does a wrong answer harm, and what is done about it?"),
        left_open("Who made it, and who answers questions?"),
        "",
        "It names one of the classes above for any picture, so look at its decision first: "
        "`accept`, `unsure` or `unknown`. Pictures of another source than the training pictures "
        "(another camera, place or season) were not measured.",
    ]


def _factors(slices: Slices | None) -> list[str]:
    """Write on which kinds of pictures it is worse."""
    heading = ["## Factors", ""]
    person = left_open("Which groups, places, devices or conditions may change how well it works?")
    if slices is None or not slices.found:
        return [*heading, person]
    rows = [
        [
            plain(f"{each.fact}: {each.value}"),
            each.accuracy.text,
            each.accuracy.interval,
            f"{each.accuracy.n:,}",
            f"{each.rest.text} ({each.rest.interval})",
            f"{each.p_adjusted:.3f}",
        ]
        for each in slices.found[:_SLICES_SHOWN]
    ]
    heads = ["pictures", "accuracy", "95 % interval", "n", "all others", "p (Holm)"]
    text = f"By {counted(slices.n_facts, 'fact')} of the pictures, the most telling first:"
    return [*heading, text, "", *table(heads, rows), "", person]


def _results(report: Report) -> list[str]:
    """Write every measure with its interval, beside what simple rules reach."""
    top = report.top_k.name if report.top_k else ""
    measured = [
        ("accuracy", report.accuracy),
        ("balanced accuracy (average recall)", report.balanced_accuracy),
        (top, report.top_k),
        ("macro F1", report.macro_f1),
        ("AUC, one class against the rest, averaged", report.auc),
        ("log loss in nats (smaller is better)", report.log_loss),
        ("Brier score, halved (smaller is better)", report.brier),
        (f"always answering {plain(report.baseline_class)}", report.baseline),
    ]
    rows = [_row(name, one) for name, one in measured if one is not None]
    conditions = "; ".join(
        f"{plain(name)}: {plain(one)}" for name, one in report.conditions.items()
    )
    return [
        "## Results on the test part, read once",
        "",
        *table(["measure", "value", "95 % interval", "n", "interval by"], rows),
        "",
        f"Conditions: {conditions or 'part: test'}.",
        *_baselines(report),
    ]


def _row(name: str, one: Measurement) -> list[str]:
    groups = "" if one.n_groups is None else f" in {counted(one.n_groups, 'group')}"
    return [name, one.text, one.interval, f"{one.n:,}{groups}", one.method]


def _baselines(report: Report) -> list[str]:
    rules = report.baselines
    if not rules:
        return []
    rows = [
        [
            plain(each.name),
            plain(each.what),
            f"{each.accuracy.text} ({each.accuracy.interval})",
            f"{each.accuracy.n:,}",
            _ahead(each.ahead),
        ]
        for each in rules
    ]
    heads = ["simple rule", "what it does", "accuracy (95 %)", "n", "the model is ahead by"]
    return ["", *table(heads, rows)]


def _ahead(one: Measurement | None) -> str:
    if one is None:
        return "other pictures"
    return f"{100 * one.value:+.1f} points ({100 * one.low:+.1f} to {100 * one.high:+.1f})"


def _decisions(facts: CardFacts) -> list[str]:
    """Say which answers are accepted, what that promises, how it went, and what scores mean."""
    doubt = facts.report.doubt
    if doubt is None:
        return []
    measured = [
        ("answers accepted", doubt.coverage),
        ("wrong among them", doubt.error),
        ("known pictures called unknown", doubt.unknown),
    ]
    after = doubt.after
    # The promise is one of the rules; it is said once, and first.
    rules = [f"- {plain(each)}" for each in facts.training.rules if each != doubt.promise]
    return [
        "## Decisions and calibration",
        "",
        doubt.promise,
        "",
        *table(
            ["on the test part", "share", "95 % interval", "n"],
            [_row(name, one)[:4] for name, one in measured if one is not None],
        ),
        "",
        f"Expected calibration error of the scores: {after.ece:.3f} (95 % interval {after.low:.3f} "
        f"to {after.high:.3f}, n = {after.n:,}){_before(doubt)}. {after.text}",
        *(["", *rules] if rules else []),
    ]


def _before(doubt: Doubt) -> str:
    if doubt.before == doubt.after:
        return "; nothing was calibrated"
    one = doubt.before
    ends = f"({one.low:.3f} to {one.high:.3f}, n = {one.n:,})"
    return f"; before calibration {one.ece:.3f} {ends}"


def _classes(report: Report) -> list[str]:
    rows = [
        [
            plain(each.name),
            f"{each.recall.text} ({each.recall.interval})",
            f"{each.n:,}",
            f"{each.precision.text} ({each.precision.interval}, n = {each.precision.n:,})"
            if each.precision
            else "never named",
        ]
        for each in report.per_class
    ]
    rows += [[plain(name), "not estimable", "0", ""] for name in report.missing_classes]
    mixed = [
        [plain(truth), plain(said), f"{count:,}", f"{n:,}"]
        for truth, said, count, n in report.mix_ups(_MIX_UPS)
    ]
    found = ["## Classes", "", *table(["class", "recall (95 %)", "n", "precision (95 %)"], rows)]
    if mixed:
        heads = ["pictures of", "taken for", "how often", "of"]
        found += ["", "The most frequent mix-ups:", "", *table(heads, mixed)]
    return found


def _data(facts: CardFacts) -> list[str]:
    data = facts.data
    kept = "are not all" if data.divided else "were kept"
    n_train, n_valid, n_test = (data.n(part) for part in ("train", "valid", "test"))
    return [
        "## Training and evaluation data",
        "",
        f"{counted(data.n())} of {code(data.name)}: {n_train:,} for training, {n_valid:,} for "
        f"validation (choosing), {n_test:,} for the test; {counted(len(data.unused), 'file')} left "
        f"out. Pictures that belong together {kept} in one part: "
        f"{counted(data.groups.n_sets, 'group')} named by a person, "
        f"{counted(data.copies.n_sets, 'set')} of near copies or bursts.",
        "",
        f"SHA-256 over the pictures: {code(data.same_pictures)}. More is in `DATA_SHEET.md`.",
    ]


def _limits(facts: CardFacts) -> list[str]:
    said = facts.cautions or ("The run itself found nothing that limits its numbers.",)
    return [
        "## Limitations",
        "",
        *(f"- {plain(each)}" for each in said),
        "- The intervals tell how sure the numbers are for pictures like the test pictures, and "
        "nothing of others.",
        left_open("What else should a user know: labels, sources, ethical considerations?"),
    ]


def _network(training: TrainingFacts) -> list[str]:
    height, width = training.size
    origin = [f"- {plain(sentence)}" for sentence in training.origin]
    return [
        "## Network",
        "",
        *markdown.block([training.network]),
        "",
        f"{training.n_weights:,} weights, and {training.multiply_adds:,} multiply-adds for a "
        f"picture of {height} x {width} pixels; another shape is fitted by `{training.fit}`.",
        *(["", *origin] if origin else []),
    ]


def _start(start: StartWeights | None) -> list[str]:
    """Say whose weights a pretrained backbone has, and under which licence."""
    if start is None:
        return []
    return [
        "## Where the weights began",
        "",
        f"`{start.name}`, trained on ImageNet: {start.origin}. Licence {start.licence}; "
        f"{start.reference}. SHA-256 of the file: `{start.sha256}`.",
    ]


def _use(facts: CardFacts) -> list[str]:
    file = f"{facts.name}.fieldmark"
    typed = shlex.quote(file)
    python = [
        "import fieldmark as fm",
        "",
        f"model = fm.open({json.dumps(file, ensure_ascii=False)})",
        'answer = model.predict("new/picture.jpg")',
        "print(answer.label, answer.score, answer.decision)",
    ]
    return [
        "## How to use it",
        "",
        *markdown.block([f"fieldmark predict {typed} new/*.jpg"], "sh"),
        "",
        *markdown.block(python, "python"),
        "",
        "How good it is on other labelled pictures:",
        "",
        *markdown.block([f"fieldmark evaluate {typed} OTHER_FOLDER"], "sh"),
    ]


def _repeat(facts: CardFacts) -> list[str]:
    training = facts.training
    versions = ", ".join(f"{plain(name)} {plain(text)}" for name, text in facts.versions.items())
    return [
        "## How to repeat it",
        "",
        *markdown.block(["fieldmark train --config config.toml"], "sh"),
        "",
        f"`config.toml` is in the run folder. Seed {training.seed}, "
        f"{counted(training.threads, 'thread')} of {plain(facts.machine)}; {versions}.",
        "",
        "How long it took is in `card.json` and `METHODS.md`: it differs every time, and this card "
        "does not. Energy was not measured.",
    ]
