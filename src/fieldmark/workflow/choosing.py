"""Which network, which input: from the settings and the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from fieldmark.bundle import refuse_foreign
from fieldmark.config import Settings
from fieldmark.errors import LayerListError, UsageError
from fieldmark.modalities.base import Fit, InputSpec
from fieldmark.networks import CATALOGUE
from fieldmark.networks.layers import Backbone, Network
from fieldmark.networks.parser import SYNTAX, parse
from fieldmark.networks.pretrained import is_installed
from fieldmark.networks.volumes import Plan, plan, resized
from fieldmark.training.events import Listener, silent
from fieldmark.workflow.foreign import foreign_of

BACKBONE: Final = "efficientnet-lite0"
"""What ``auto`` starts from."""
MANY: Final = 20_000
"""Training pictures from which ``auto`` takes the slower network."""
ENOUGH: Final = 0.99
"""Cross-validated accuracy above which a solved head is left as it is."""
POOR: Final = 0.5
"""Share of what the most frequent class leaves wrong that features must get right."""
MANY_FOR_SCRATCH: Final = 1_000
FEW_TO_TUNE: Final = 20
"""Pictures of the rarest class; with fewer, fine-tuning learns them by heart."""
TUNING_S_PER_GIGA: Final = 0.15
"""Seconds of fine-tuning per training picture and billion multiply-adds of the network: measured
on two cores, all epochs together."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A network with its reason."""

    name: str
    plan: Plan
    spec: InputSpec
    why: str
    """One line."""


def network_named(text: str, *, size: int | None = None, n_classes: int = 2) -> tuple[str, Network]:
    """Return (name, network) for a catalogue name, a layer list, or a file that holds one.

    Raises
    ------
    UsageError
        Code ``net-unknown``.
    LayerListError
        Code ``layer-list``.
    BundleError
        Code ``model-foreign``: the file is a model of another tool.
    """
    if text in CATALOGUE:
        return text, CATALOGUE[text].network(size=size, n_classes=n_classes)
    if _is_list(text):
        return "layers", _sized(parse(text), size)
    path = Path(text)
    if len(text) < 1_000:
        refuse_foreign(path)
    if len(text) < 1_000 and path.is_file() and path.stat().st_size < 1_000_000:
        return path.stem, _sized(parse(path.read_text(encoding="utf-8", errors="replace")), size)
    raise UsageError(
        f"There is no network {text!r}.",
        code="net-unknown",
        why="It is neither a name of the catalogue, nor a layer list, nor a file that holds one.",
        hint=f"known: {', '.join(CATALOGUE)}; or a list: 'INPUT 64x64x3 -> CONV 32 3x3 -> FC'",
    )


def _is_list(text: str) -> bool:
    """Tell a layer list from a name, also a list that is wrong: its error should point into it."""
    words = text.split()
    return "->" in text or "\n" in text or (bool(words) and words[0].upper() in SYNTAX)


def _sized(network: Network, size: int | None) -> Network:
    return network if size is None else resized(network, size, size)


def choose(
    settings: Settings, *, n_classes: int, n_train: int, listen: Listener = silent
) -> Choice:
    """Decide what to train.

    Parameters
    ----------
    settings : Settings
        ``net`` and ``data.fit`` are read; ``auto`` is decided here.
    n_classes, n_train : int
        Of the data.
    listen : callable
        Told before anything is fetched.

    Raises
    ------
    FieldmarkError
        As :func:`network_named`, :func:`fieldmark.networks.volumes.plan` and
        :func:`fieldmark.workflow.foreign.foreign_of`.
    """
    net = settings.net
    name, why = net.name, "as asked"
    if name == "auto" and settings.train.recipe == "article":
        name, why = "tutorial", "the article's recipe goes with the article's network"
    elif name == "auto" and is_installed(BACKBONE):
        name, why = "features", f"pretrained features, {n_train:,} training pictures"
    elif name == "auto":
        name = scratch_name(n_train)
        few = "at least" if n_train >= MANY else "fewer than"
        why = f"{n_train:,} training pictures are {few} {MANY:,}; from scratch"
    size = None if net.size == "auto" else net.size
    if name == "layers":
        named, network = "layers", _sized(parse(net.layers), size)
    else:
        named, network = network_named(name, size=size, n_classes=n_classes)
    made = plan(network, n_classes, foreign=foreign_of(network, settings, listen))
    height, width, channels = made.input
    fit = _fit(settings, pretrained=made.backbone is not None)
    spec = InputSpec(height=height, width=width, channels=channels, fit=fit)
    return Choice(named, made, spec, why)


def starts_pretrained(settings: Settings) -> bool:
    """Whether these settings start from a backbone, and so need no training backend at first."""
    net = settings.net
    if net.name == "auto":
        return settings.train.recipe != "article" and is_installed(BACKBONE)
    network = parse(net.layers) if net.name == "layers" else network_named(net.name)[1]
    return any(isinstance(item, Backbone) for item in network.items)


Way = Literal["head", "blocks", "scratch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known once the head is solved."""

    cv_accuracy: float
    """Of the solved head, cross-validated on the training part, in [0, 1]."""
    majority: float
    """Share of the most frequent class in the training part."""
    n_train: int
    smallest: int
    """Training examples of the rarest class."""
    has_backend: bool
    """Whether something is installed that can train by gradients."""
    left_s: float | None
    """Seconds of the time budget that are left; None: no budget was given."""
    multiply_adds: int
    """Of the whole network, for one picture."""


def decide(known: Known) -> tuple[Way, str]:
    """Choose between the solved head, fine-tuning and a start from scratch; say why in a line.

    Examples
    --------
    >>> known = Known(cv_accuracy=0.998, majority=0.5, n_train=2_470, smallest=1_235,
    ...               has_backend=True, left_s=600.0, multiply_adds=384_000_000)
    >>> decide(known)
    ('head', 'solved head: 99.8 % across folds leaves little to fine-tune')
    """
    rate = f"{100 * known.cv_accuracy:.1f} % across folds"
    if known.left_s is None:
        return "head", f"solved head: {rate} in seconds; --time or --fine-tune may add to it"
    if not known.has_backend:
        return "head", f"solved head: {rate}; no backend is installed that could train more"
    if known.cv_accuracy >= ENOUGH:
        return "head", f"solved head: {rate} leaves little to fine-tune"
    gained = (known.cv_accuracy - known.majority) / max(1 - known.majority, 1e-9)
    if gained < POOR and known.n_train >= MANY_FOR_SCRATCH and known.left_s >= 60:
        return "scratch", f"from scratch: the pretrained features reach only {rate}"
    if known.smallest < FEW_TO_TUNE:
        return "head", f"solved head: {known.smallest} pictures of a class are few to fine-tune on"
    needed = TUNING_S_PER_GIGA * known.n_train * known.multiply_adds / 1e9
    if needed > known.left_s:
        return (
            "head",
            f"solved head: fine-tuning would take about {needed:.0f} s, more than is left",
        )
    return "blocks", f"fine-tuned from a solved head: {rate}, and there is time"


def scratch_name(n_train: int) -> str:
    """Return the network of the catalogue to train from scratch."""
    return "residual" if n_train >= MANY else "small"


def trainable_sizes(made: Plan) -> tuple[int, int]:
    """Return the smallest and the largest picture that the plan's weights fit: square, in pixels.

    The largest is the plan's own. (0, 0): there is no other size, because something is flattened.

    Examples
    --------
    >>> head = "INPUT 64x64x3 -> CONV 8 5x5 -> POOL 2x2"
    >>> trainable_sizes(plan(parse(f"{head} -> GAP -> FC"), 2))
    (8, 64)
    >>> trainable_sizes(plan(parse(f"{head} -> FC"), 2))
    (0, 0)
    """
    height, width, _ = made.input
    if not made.size_free or height != width:
        return 0, 0
    smallest = height
    while smallest > 8 and _fits(made, smallest - 1):
        smallest -= 1
    return smallest, height


def _fits(made: Plan, size: int) -> bool:
    try:
        plan(resized(made.network, size, size), made.n_classes)
    except LayerListError:
        return False
    return True


def _fit(settings: Settings, *, pretrained: bool) -> Fit:
    if settings.data.fit != "auto":
        return settings.data.fit
    if pretrained:
        # Learned from undistorted pictures: on cats and dogs at 160 pixels the log-loss is 0.021
        # with crop and 0.030 with stretch; at 224 they are alike.
        return "crop"
    # The tutorial's loader distorts every picture to a square; so does its recipe here. What lies
    # at the edge of a picture is lost by crop, so the tuned recipe distorts as well.
    return "stretch"
