"""The paragraph on methods, as it would stand in a paper, with the works it cites. Pure.

Right for every way of training: a head solved on a pretrained backbone, the same with fine-tuning,
a network trained from random weights, the tutorial's recipe, a backbone from elsewhere. Every rate
that was measured has its interval, its n and how the interval was made.
"""

from __future__ import annotations

from typing import Final

from fieldmark.evaluation.card_facts import CardFacts, SolvedHead, TrainingFacts
from fieldmark.evaluation.markdown import left_open, plain
from fieldmark.evaluation.measurement import Measurement
from fieldmark.evaluation.wording import counted, printable

WORKS: Final = {
    "Tan and Le, 2019": "M. Tan and Q. V. Le. EfficientNet: rethinking model scaling for "
    "convolutional neural networks. ICML 2019. arXiv:1905.11946.",
    "Kingma and Ba, 2015": "D. P. Kingma and J. Ba. Adam: a method for stochastic optimization. "
    "ICLR 2015. arXiv:1412.6980.",
    "Loshchilov and Hutter, 2019": "I. Loshchilov and F. Hutter. Decoupled weight decay "
    "regularization. ICLR 2019. arXiv:1711.05101.",
    "Guo et al., 2017": "C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger. On calibration of modern "
    "neural networks. ICML 2017. arXiv:1706.04599.",
    "Geifman and El-Yaniv, 2017": "Y. Geifman and R. El-Yaniv. Selective classification for deep "
    "neural networks. NeurIPS 2017. arXiv:1705.08500.",
    "Angelopoulos et al., 2021": "A. N. Angelopoulos, S. Bates, E. J. Candès, M. I. Jordan and "
    "L. Lei. Learn then test: calibrating predictive algorithms to achieve risk control. 2021. "
    "arXiv:2110.01052.",
    "Wilson, 1927": "E. B. Wilson. Probable inference, the law of succession, and statistical "
    "inference. Journal of the American Statistical Association 22, 209-212. 1927.",
    "Efron, 1987": "B. Efron. Better bootstrap confidence intervals. Journal of the American "
    "Statistical Association 82, 171-185. 1987.",
}
"""How a work is cited -> what it is, in the order in which the paragraph may cite them."""

_FIT: Final = {"crop": "cropped", "pad": "padded", "stretch": "stretched"}
_OPTIMIZERS: Final = {
    "adam": "Adam (Kingma and Ba, 2015)",
    "adamw": "AdamW (Loshchilov and Hutter, 2019)",
    "sgd": "stochastic gradient descent with momentum",
}
_REGRESSIONS: Final = {"logistic": "L2-penalised logistic regression", "ridge": "ridge regression"}
_AUGMENTED: Final = {
    "none": "no augmentation",
    "article": "shear, zoom, flips",
    "light": "light augmentation",
    "strong": "strong augmentation",
}

_ENGINES: Final = (
    *("python", "numpy", "onnxruntime", "openvino"),
    *("keras", "tensorflow", "jax", "torch"),
)
"""Packages whose versions a paper names; the card has the others too."""


def paragraph(facts: CardFacts) -> str:
    """Write the paragraph: one line of plain text, 120 to 200 words for usual names.

    Parameters
    ----------
    facts : CardFacts
    """
    sentences = [
        *_data(facts),
        *_training(facts.training),
        *_rules(facts),
        *_results(facts),
        _software(facts),
    ]
    return " ".join(sentences)


def cited(text: str) -> tuple[str, ...]:
    """Return the works that a text cites, in full.

    Examples
    --------
    >>> [work[:12] for work in cited("an interval (Wilson, 1927)")]
    ['E. B. Wilson']
    """
    return tuple(work for mark, work in WORKS.items() if mark in text)


def methods(facts: CardFacts) -> str:
    """Return the paragraph with its references as Markdown; the same facts give the same text.

    Parameters
    ----------
    facts : CardFacts
        Names in it may hold anything.
    """
    text = paragraph(facts)
    lines = [
        "# Methods, to paste",
        "",
        plain(text),
        "",
        left_open("Where the pictures come from, and what was done before they got here."),
        "",
        "## References",
        "",
        *(f"- {work}" for work in cited(text)),
    ]
    return "\n".join(lines) + "\n"


def _data(facts: CardFacts) -> list[str]:
    data, training = facts.data, facts.training
    version = facts.versions.get("fieldmark", "")
    with_what = f"fieldmark {version}" if version else "fieldmark"
    height, width = training.size
    left = f" ({counted(len(data.unused), 'file')} left out)" if data.unused else ""
    together = "near copies and groups" if data.audited else "equal files and groups"
    kept = "" if data.divided else f", {together} kept in one part"
    return [
        f'From {counted(data.n())} of "{printable(data.name)}"{left} a classifier for '
        f"{counted(len(facts.report.classes), 'class')} was made with {with_what}: "
        f"{data.n('train'):,} for training, {data.n('valid'):,} for validation, "
        f"{data.n('test'):,} for the test (split seed {data.split_seed}){kept}.",
        f"Pictures were {_FIT[training.fit]} to {height} x {width} pixels.",
    ]


def _training(training: TrainingFacts) -> list[str]:
    if training.head is None:
        return _from_scratch(training)
    return [*_solved(training, training.head), *_tuned(training)]


def _solved(training: TrainingFacts, head: SolvedHead) -> list[str]:
    if training.start is not None:
        source = f"{training.backbone}, pretrained on ImageNet (Tan and Le, 2019)"
    else:
        source = f"the pretrained network {printable(training.backbone)}"
    held = f"{head.n_folds}-fold" if head.n_folds else "leave-one-group-out"
    found = ""
    if head.accuracy is not None:
        found = f"; {held} cross-validation chose the penalty, at {_told(head.accuracy)} accuracy"
    return [
        f"A linear layer on {head.n_features:,} features of {source}, was solved by "
        f"{_REGRESSIONS[head.method]}{found}."
    ]


def _tuned(training: TrainingFacts) -> list[str]:
    kept = [step for step in training.tuning if step.kept]
    if not training.tuning:
        return []
    if not kept:
        return ["Fine-tuning was tried and undone: validation did not improve."]
    last = kept[-1]
    what = "All layers" if last.what == "all" else "The last blocks"
    return [
        f"{what} were then trained by {_optimizer(training)}; {100 * last.share:.0f} % of that "
        f"step was kept, at {_told(last.after)} validation accuracy.",
    ]


def _from_scratch(training: TrainingFacts) -> list[str]:
    settings = training.settings
    averaged = ""
    if settings.get("ema"):
        averaged = f", weights averaged exponentially (decay {settings['ema']:g})"
    tutorial = "the tutorial's recipe, " if training.recipe == "article" else ""
    return [
        f"A convolutional network of {training.n_weights:,} weights, random at first, was trained "
        f"by {tutorial}{_optimizer(training)}, {counted(training.n_epochs, 'epoch')}"
        f"{averaged}; the weights of epoch {training.kept_epoch} were kept.",
    ]


def _optimizer(training: TrainingFacts) -> str:
    settings = training.settings
    rate, schedule = settings.get("lr"), settings["schedule"]
    number = "" if rate is None else f" {'of' if schedule == 'constant' else 'up to'} {rate:.2g}"
    return (
        f"{_OPTIMIZERS[settings['optimizer']]}, {schedule} rate{number}, batch "
        f"{settings['batch']}, {_AUGMENTED.get(settings['augment'], settings['augment'])}"
    )


def _rules(facts: CardFacts) -> list[str]:
    if facts.report.doubt is None:
        return []
    if not facts.report.doubt.coverage.value:
        return [
            f"Validation (n = {facts.data.n('valid'):,}) was too little, or the answers not good "
            "enough, to bound the risk of accepted answers (Geifman and El-Yaniv, 2017; "
            "Angelopoulos et al., 2021): none were accepted."
        ]
    temperature = facts.training.temperature
    scaled = "" if temperature == 1 else f"the temperature ({temperature:.2f}; Guo et al., 2017) "
    return [
        f"Validation (n = {facts.data.n('valid'):,}) set {scaled}{'and ' if scaled else ''}the "
        "margin for accepting answers, by a bound on their risk (Geifman and El-Yaniv, 2017; "
        "Angelopoulos et al., 2021)."
    ]


def _results(facts: CardFacts) -> list[str]:
    report, doubt = facts.report, facts.report.doubt
    accepted = ""
    if doubt is not None and doubt.coverage.value:
        wrong = f", {_told(doubt.error)} of these wrong" if doubt.error else ""
        accepted = f"; {_told(doubt.coverage)} of the answers were accepted{wrong}"
    return [
        f"On the test part, read once, accuracy was {_told(report.accuracy)}, against "
        f"{_told(report.baseline)} for the most frequent class, and macro F1 "
        f"{_told(report.macro_f1)}{accepted}.",
        _intervals(report.accuracy, report.macro_f1),
    ]


def _intervals(rate: Measurement, mean: Measurement) -> str:
    groups = "" if rate.n_groups is None else f", counting {counted(rate.n_groups, 'group')}"
    means = "" if mean.method == rate.method else "; of averages by BCa bootstrap, Efron, 1987"
    return f"Intervals are of {100 * rate.level:g} % (Wilson, 1927{means}){groups}."


def _told(one: Measurement) -> str:
    return f"{one.text} ({one.short_interval}, n = {one.n:,})"


def _software(facts: CardFacts) -> str:
    versions = [f"{name} {facts.versions[name]}" for name in _ENGINES if name in facts.versions]
    taken = ""
    if facts.seconds is not None:
        taken = f" took {facts.seconds:,.0f} s" if facts.seconds >= 1 else " took less than 1 s"
    return (
        f"Training{taken or ' ran'} on {printable(facts.machine)} "
        f"({counted(facts.training.threads, 'thread')}, seed {facts.training.seed}; "
        f"{printable(', '.join(versions))})."
    )
