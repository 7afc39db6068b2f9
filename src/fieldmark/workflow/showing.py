"""Show what a network is shown: samples of every class, its input, what augmentation does.

Reads a few files and changes none. Everything is made by the code that training uses: the decode
rules of the network that would be chosen, and the batches that the training loop is fed with.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import rng
from fieldmark.config import Settings
from fieldmark.data.batches import Batches, ids_of
from fieldmark.data.manifest import Example, Manifest
from fieldmark.errors import ConfigError, UnreadableExample
from fieldmark.evaluation import sheet
from fieldmark.evaluation.sheet import Changed, ClassSheet, Received, SheetFacts
from fieldmark.evaluation.thumbnails import MAX_THUMBNAIL_BYTES, Picture
from fieldmark.modalities.augment import AUGMENTATIONS, Augmentation, shrunk
from fieldmark.modalities.base import InputSpec
from fieldmark.modalities.encode import encode_jpeg, encode_png
from fieldmark.modalities.image import IMAGE
from fieldmark.modalities.thumbnail import thumbnail
from fieldmark.workflow.choosing import Choice, choose
from fieldmark.workflow.pages import write_page
from fieldmark.workflow.picturing import contents, pictured

SCHEMA: Final = "fieldmark.show/1"
MAX_PER_CLASS: Final = 100
MAX_PICTURES: Final = 480
"""On all contact sheets together; with many classes each shows fewer."""
MAX_RECEIVED: Final = 12
"""Pictures shown as they are received."""
N_CHANGED: Final = 4
N_EPOCHS: Final = 8
"""Changed copies of each of :data:`N_CHANGED` pictures."""
_SHEET_SIDE: Final = 112
_ORIGINAL_SIDE: Final = 192
_LARGEST: Final = 256
"""Pixels each way of an array on the page; larger ones are made smaller for it, and it says so."""
_EXACT_UP_TO: Final = 96
"""Pixels each way up to which arrays are kept as PNG, without any loss."""


@dataclass(frozen=True, slots=True, repr=False)
class Sheet:
    """What was shown; a notebook displays it."""

    facts: SheetFacts

    @property
    def html(self) -> str:
        """The page as a complete HTML document."""
        return sheet.render(self.facts)

    def save(self, path: str | Path) -> Path:
        """Write the page; only a page of the same kind is replaced.

        Raises
        ------
        UsageError
            Code ``file-exists``.
        DataError
            Code ``no-folder``.
        """
        return write_page(Path(path), self.html, "show")

    def to_dict(self) -> dict[str, Any]:
        """Return what was shown as plain JSON values, without the pictures themselves."""
        facts = self.facts
        return {
            "schema": SCHEMA,
            "folder": facts.name,
            "size": list(facts.size),
            "channels": facts.channels,
            "fit": facts.fit,
            "augment": facts.augment,
            "seed": facts.seed,
            "classes": {each.label: [p.path for p in each.pictures] for each in facts.classes},
            "received": [each.original.path for each in facts.received],
            "changed": [each.original.path for each in facts.changed],
            "unread": [{"path": each.path, "reason": each.note} for each in facts.unread],
        }

    def _repr_html_(self) -> str:
        return sheet.render_brief(self.facts)

    def __repr__(self) -> str:
        facts = self.facts
        return f"<Sheet {facts.name}: {facts.n_shown:,} pictures of {len(facts.classes):,} classes>"


_Seen = tuple[Picture, bytes]
"""One file of the sample that is shown at more than a thumbnail, with its bytes."""


def show(manifest: Manifest, settings: Settings | None = None, *, per_class: int = 12) -> Sheet:
    """Show a sample of every class, what the network receives, and what augmentation does.

    Parameters
    ----------
    manifest : Manifest
        Hashes are not needed.
    settings : Settings, optional
        ``net``, ``data.fit``, ``train.augment`` and ``train.seed`` are read; ``auto`` is decided as
        by ``train``, except that augmentation is then ``light``.
    per_class : int, default=12
        Pictures of each class, 1 to 100; fewer where there are many classes.

    Returns
    -------
    Sheet

    Raises
    ------
    ConfigError
        Code ``setting-range``.
    FieldmarkError
        As :func:`fieldmark.workflow.choosing.choose`.
    """
    if not 1 <= per_class <= MAX_PER_CLASS:
        raise ConfigError(
            f"{per_class} pictures per class; 1 to {MAX_PER_CLASS} is possible.",
            code="setting-range",
            where="--per-class",
            hint="choose within the range",
        )
    given = settings or Settings()
    n = len(manifest.examples)
    choice = choose(given, n_classes=max(2, len(manifest.classes)), n_train=n)
    seed, name = given.train.seed, _augmentation(given)
    seen = _sampled(manifest, _fewer(per_class, len(manifest.classes)), seed)
    few = _few(manifest.root, seen)
    changes = AUGMENTATIONS[name]
    return Sheet(
        SheetFacts(
            name=manifest.name,
            n=n,
            classes=_classes(manifest, seen),
            size=(choice.spec.height, choice.spec.width),
            channels=choice.spec.channels,
            fit=choice.spec.fit,
            augment=name,
            ranges=_ranges(changes),
            received=tuple(_received(each, choice.spec) for each in few),
            changed=_changed(few[:N_CHANGED], choice.spec, changes, seed)
            if _ranges(changes)
            else (),
            seed=seed,
            notes=_notes(choice, per_class, len(manifest.classes)),
        )
    )


def _augmentation(settings: Settings) -> str:
    if settings.train.augment != "auto":
        return settings.train.augment
    return "article" if settings.train.recipe == "article" else "light"


def _fewer(per_class: int, n_classes: int) -> int:
    return max(1, min(per_class, MAX_PICTURES // max(1, n_classes)))


def _sampled(manifest: Manifest, per_class: int, seed: int) -> list[list[Picture]]:
    """Read a sample of each class, in class order; of further classes beyond the limit nothing."""
    groups: dict[str, list[Example]] = {name: [] for name in manifest.classes}
    for example in manifest.examples:
        groups[example.label].append(example)
    chosen: list[list[Example]] = []
    for at, examples in enumerate(groups.values()):
        n = per_class if at < MAX_PICTURES else 0
        order = rng.derive(seed, "show", at).permutation(len(examples))[:n]
        chosen.append([examples[place] for place in sorted(order)])
    wanted = [Picture(path=each.path, label=each.label) for group in chosen for each in group]
    seen = pictured(manifest.root, wanted, side=_SHEET_SIDE)
    return [[next(seen) for _ in group] for group in chosen]


def _few(root: Path, seen: Sequence[Sequence[Picture]]) -> list[_Seen]:
    """Take in turns one of each class that has any, up to two of each; spread over many classes.

    Only these are read again: all files of the sample together might not fit into memory.
    """
    groups = [[each for each in group if each.thumbnail] for group in seen]
    filled = [group for group in groups if group]
    spread = filled[:: max(1, -(-len(filled) // MAX_RECEIVED))]
    chosen = [group[turn] for turn in (0, 1) for group in spread if len(group) > turn]
    found = []
    for each in chosen[:MAX_RECEIVED]:
        with suppress(UnreadableExample):  # it could be read a moment ago
            found.append((each, contents(root, each.path)))
    return found


def _classes(manifest: Manifest, seen: list[list[Picture]]) -> tuple[ClassSheet, ...]:
    counts = manifest.counts()
    return tuple(
        ClassSheet(label=label, n=counts[label], pictures=tuple(group))
        for label, group in zip(manifest.classes, seen, strict=True)
    )


def _received(seen: _Seen, spec: InputSpec) -> Received:
    picture, data = seen
    original = encode_jpeg(thumbnail(data, _ORIGINAL_SIDE))
    return Received(
        original=dataclasses.replace(picture, thumbnail=original),
        array=_file(IMAGE.decode(data, spec), 95),
    )


def _changed(
    chosen: Sequence[_Seen], spec: InputSpec, changes: Augmentation, seed: int
) -> tuple[Changed, ...]:
    """Draw the first epochs of a few pictures from the batches that the loop is fed with."""
    if not chosen:
        return ()
    pixels = np.stack([IMAGE.decode(data, spec) for _, data in chosen])
    batches = Batches(
        pixels=pixels,
        rows=np.arange(len(chosen)),
        labels=np.zeros(len(chosen), np.int64),
        ids=ids_of([hashlib.sha256(data).hexdigest() for _, data in chosen]),
        batch_size=len(chosen),
        seed=seed,
        augmentation=changes,
        threads=1,
        shuffle=False,
    )
    epochs = [next(batches.epoch(epoch))[0] for epoch in range(N_EPOCHS)]
    return tuple(
        Changed(
            original=dataclasses.replace(picture, thumbnail=_file(pixels[at], 85)),
            drawn=tuple(_file(epoch[at], 85) for epoch in epochs),
        )
        for at, (picture, _) in enumerate(chosen)
    )


def _file(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """Write an array exactly while it is small, and otherwise small enough for the page."""
    height, width = pixels.shape[:2]
    if max(height, width) <= _EXACT_UP_TO:
        return encode_png(pixels)
    if max(height, width) > _LARGEST:
        scale = _LARGEST / max(height, width)
        pixels = shrunk(pixels[None], max(1, round(height * scale)), max(1, round(width * scale)))[
            0
        ]
    found = b""
    for each in (quality, 75, 50):
        found = encode_jpeg(pixels, each)
        if len(found) <= MAX_THUMBNAIL_BYTES:
            break
    return found


def _ranges(changes: Augmentation) -> dict[str, str]:
    """Say what may be changed and how far; empty when nothing is."""
    aspect = "both ways alike" if changes.zoom_keeps_aspect else "each way by itself"
    found = {
        "left and right": "swapped for every second picture" if changes.flip else "",
        "rotation": _up_to(changes.rotate_degrees, " degrees"),
        "shear": _up_to(changes.shear_degrees, " degrees"),
        "zoom": changes.zoom and f"{_up_to(100 * changes.zoom, ' %')}, {aspect}",
        "shift": _up_to(100 * changes.shift, " % of each side"),
        "brightness": _up_to(100 * changes.brightness, " %"),
        "contrast": _up_to(100 * changes.contrast, " %"),
    }
    return {name: str(text) for name, text in found.items() if text}


def _up_to(value: float, unit: str) -> str:
    return f"up to {value:g}{unit} either way" if value else ""


def _notes(choice: Choice, per_class: int, n_classes: int) -> tuple[str, ...]:
    found = [f"The input is that of the network {choice.name} ({choice.why})."]
    if choice.plan.backbone is not None:
        found.append("A solved head sees changed pictures only as far as --copies go.")
    side = max(choice.spec.height, choice.spec.width)
    if side > _LARGEST:
        found.append(f"Arrays are shown at {_LARGEST} pixels, smaller than they are.")
    elif side > _EXACT_UP_TO:
        found.append("Arrays of this size are kept on the page as JPEG, nearly as they are.")
    if _fewer(per_class, n_classes) < per_class:
        found.append(f"With {n_classes:,} classes, fewer than {per_class} pictures of each.")
    return tuple(found)
