"""Which network, which input: from the settings and the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fieldmark.config import Settings
from fieldmark.errors import LayerListError, UsageError
from fieldmark.modalities.base import Fit, InputSpec
from fieldmark.networks import CATALOGUE
from fieldmark.networks.layers import Network
from fieldmark.networks.parser import SYNTAX, parse
from fieldmark.networks.pretrained import is_installed
from fieldmark.networks.volumes import Plan, plan, resized

BACKBONE: Final = "efficientnet-lite0"
"""What ``auto`` starts from."""
MANY: Final = 20_000
"""Training pictures from which ``auto`` takes the slower network."""


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
    """
    if text in CATALOGUE:
        return text, CATALOGUE[text].network(size=size, n_classes=n_classes)
    if _is_list(text):
        return "layers", _sized(parse(text), size)
    path = Path(text)
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


def choose(settings: Settings, *, n_classes: int, n_train: int) -> Choice:
    """Decide what to train.

    Parameters
    ----------
    settings : Settings
        ``net`` and ``data.fit`` are read; ``auto`` is decided here.
    n_classes, n_train : int
        Of the data.
    """
    net = settings.net
    name, why = net.name, "as asked"
    if name == "auto" and settings.train.recipe == "article":
        name, why = "tutorial", "the article's recipe goes with the article's network"
    elif name == "auto" and is_installed(BACKBONE):
        name, why = "features", f"pretrained features, {n_train:,} training pictures"
    elif name == "auto":
        name = "residual" if n_train >= MANY else "small"
        few = "at least" if n_train >= MANY else "fewer than"
        why = f"{n_train:,} training pictures are {few} {MANY:,}; from scratch"
    size = None if net.size == "auto" else net.size
    if name == "layers":
        named, network = "layers", _sized(parse(net.layers), size)
    else:
        named, network = network_named(name, size=size, n_classes=n_classes)
    made = plan(network, n_classes)
    height, width, channels = made.input
    fit = _fit(settings, pretrained=made.backbone is not None)
    spec = InputSpec(height=height, width=width, channels=channels, fit=fit)
    return Choice(named, made, spec, why)


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
