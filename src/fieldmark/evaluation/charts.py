"""The pictures of a run: learning curves, confusion matrices, galleries, the learning-rate test.

Pure: values in, encoded bytes out; nothing is written to disk. Matplotlib is imported
inside the functions and used without pyplot, with its own default settings whatever the user's are,
so the same values give the same bytes on the same versions. Names of classes and files may hold
anything: ``$`` is no formula, a line break no line break, an unknown letter an empty box.

The charts inside a page are SVG: ``drawings.py``.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UsageError
from fieldmark.evaluation.drawings import History, Quantity, series
from fieldmark.evaluation.wording import clip, printable

_INK, _MUTED, _ACCENT, _GRID = "#1f2628", "#5b666b", "#0b6e5f", "#dfe4e3"
_DPI = 110
_NAME_COLUMNS = 24
"""Of a class name on an axis; longer ones are cut."""
_COUNTS_UP_TO = 20
"""Classes with a number in every cell; more would be too small to read."""
_NAMES_UP_TO = 100
"""Classes with their name on both axes, for the same reason."""


def curves_png(history: History, best_epoch: int | None = None) -> bytes:
    """Draw loss and accuracy by epoch, training against validation.

    Parameters
    ----------
    history : sequence of dict
        One per epoch; values that are missing or not finite leave a gap.
    best_epoch : int, optional
        Marked by a line in both panels.

    Returns
    -------
    bytes
        A PNG file of 990 x 396 pixels.

    Raises
    ------
    UsageError
        With code ``nothing-to-draw`` when no epoch holds a number.
    """
    _require(any(series(history, key) for key in ("loss", "val_loss", "accuracy", "val_accuracy")))
    with _figure(9.0, 3.6) as figure:
        panels: tuple[Quantity, Quantity] = ("loss", "accuracy")
        for axes, quantity in zip(figure.subplots(1, 2), panels, strict=True):
            for key, colour, style, name in (
                (quantity, _MUTED, "--", "training"),
                (f"val_{quantity}", _ACCENT, "-", "validation"),
            ):
                points = series(history, key)
                xs, ys = [x for x, _ in points], [y for _, y in points]
                mark = "o" if len(points) == 1 else ""
                axes.plot(xs, ys, color=colour, linestyle=style, marker=mark, label=name)
            if best_epoch is not None:
                axes.axvline(best_epoch, color=_INK, linewidth=0.8, linestyle=":", label="best")
            axes.set_title(quantity.capitalize(), loc="left", fontsize=11)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(color=_GRID, linewidth=0.8)
            axes.legend(frameon=False, fontsize=9)
        return _encode(figure, "png")


def confusion_png(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], normalized: bool
) -> bytes:
    """Draw which class was taken for which.

    Parameters
    ----------
    confusion : sequence of rows of int
        Rows are the true classes.
    classes : sequence of str
        One name per row, in order.
    normalized : bool
        Write each cell as a share of its row, in percent, instead of as a count. The shading always
        shows shares, so that rare classes are not pale.

    Returns
    -------
    bytes
        A PNG file.

    Raises
    ------
    UsageError
        With code ``nothing-to-draw`` when there is no class or the matrix does not fit the names.
    """
    counts = np.array(confusion, dtype=np.int64)
    _require(bool(classes) and counts.shape == (len(classes), len(classes)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [clip(printable(name), _NAME_COLUMNS) for name in classes]
    side = 2.6 + min(12.0, 0.55 * len(names))
    with _figure(side + 0.4, side) as figure:
        axes = figure.subplots()
        axes.imshow(shares, cmap=_tints(), vmin=0.0, vmax=1.0)
        places, small = range(len(names)), max(4, 10 - len(names) // 12)
        axes.tick_params(length=0)
        if len(names) <= _NAMES_UP_TO:
            axes.set_xticks(places, names, rotation=90, fontsize=small, parse_math=False)
            axes.set_yticks(places, names, fontsize=small, parse_math=False)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        for row, column in np.ndindex(counts.shape) if len(names) <= _COUNTS_UP_TO else ():
            share = shares[row, column]
            text = f"{100 * share:.0f} %" if normalized else f"{counts[row, column]:,}"
            colour = "white" if share > 0.8 else _INK
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        return _encode(figure, "png")


def gallery_jpg(
    images: Sequence[NDArray[np.uint8]], titles: Sequence[str], columns: int = 3
) -> bytes:
    """Put pictures side by side, each under its title.

    Parameters
    ----------
    images : sequence of uint8 arrays of shape (height, width, 1 or 3)
        RGB or grey; sizes may differ.
    titles : sequence of str
        One per picture; at most two lines of 28 columns of each are shown.
    columns : int, default=3
        Pictures in a row, at least 1.

    Returns
    -------
    bytes
        A JPEG file.

    Raises
    ------
    UsageError
        With code ``nothing-to-draw`` when there is no picture or not one title for each.
    """
    _require(bool(images) and len(images) == len(titles) and columns >= 1)
    n_columns = min(columns, len(images))
    n_rows = math.ceil(len(images) / n_columns)
    with _figure(2.2 * n_columns, 2.6 * n_rows) as figure:
        grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, image, title in zip(grid, images, titles, strict=False):
            axes.imshow(_rgb(image), interpolation="nearest")
            axes.set_title(_two_lines(title), fontsize=8, parse_math=False)
        return _encode(figure, "jpeg")


def lr_find_png(rates: Sequence[float], losses: Sequence[float], chosen: float) -> bytes:
    """Draw the loss against the learning rate, with the chosen rate marked.

    Parameters
    ----------
    rates, losses : sequences of float
        Of the same length; rates above 0. Losses that are not finite leave a gap.
    chosen : float
        The rate that was taken.

    Returns
    -------
    bytes
        A PNG file of 660 x 396 pixels.

    Raises
    ------
    UsageError
        With code ``nothing-to-draw`` when there is no finite loss or the lengths differ.
    """
    points = [
        (rate, loss)
        for rate, loss in zip(rates, losses, strict=False)
        if rate > 0 and math.isfinite(loss)
    ]
    _require(bool(points) and len(rates) == len(losses))
    low, first = min(loss for _, loss in points), points[0][1]
    with _figure(6.0, 3.6) as figure:
        axes = figure.subplots()
        axes.semilogx([rate for rate, _ in points], [loss for _, loss in points], color=_ACCENT)
        axes.axvline(chosen, color=_INK, linewidth=0.8, linestyle=":")
        # After the turning point the loss explodes and would flatten everything of interest.
        span = max(first - low, 0.05 * abs(first), 1e-6)
        axes.set_ylim(low - 0.2 * span, first + span)
        axes.set_title(f"Learning-rate test: {chosen:.2g} chosen", loc="left", fontsize=11)
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.grid(color=_GRID, linewidth=0.8)
        return _encode(figure, "png")


def _rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise UsageError(
            f"A picture of shape {image.shape} and type {image.dtype} cannot be drawn.",
            code="nothing-to-draw",
            hint="pass uint8 arrays of shape (height, width, 3) or (height, width, 1)",
        )
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def _two_lines(title: str) -> str:
    text = printable(title)
    first = clip(text, 28)
    if first == text:
        return text
    space = text.rfind(" ", 0, 29)
    cut = space if space > 0 else 28
    return f"{text[:cut]}\n{clip(text[cut:].lstrip(), 28)}"


def _tints() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("accent", ["#ffffff", "#7fb9ae", _ACCENT])


@contextmanager
def _figure(width: float, height: float) -> Iterator[Any]:
    """Lend a figure of so many inches, under Matplotlib's own settings instead of the user's."""
    import matplotlib
    from matplotlib.figure import Figure

    with warnings.catch_warnings(), matplotlib.rc_context():
        # A name in a script that the font lacks is drawn as boxes; nobody can act on the warning.
        warnings.filterwarnings("ignore", message=r"(?s).*Glyph .* missing from")
        matplotlib.rcdefaults()
        yield Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _encode(figure: Any, kind: Literal["png", "jpeg"]) -> bytes:
    buffer = io.BytesIO()
    # Without this, Matplotlib writes its version into every PNG.
    metadata = {"Software": None} if kind == "png" else None
    pil = {"quality": 88} if kind == "jpeg" else None
    figure.savefig(buffer, format=kind, metadata=metadata, pil_kwargs=pil)
    return buffer.getvalue()


def _require(drawable: bool) -> None:
    if not drawable:
        raise UsageError(
            "There is nothing to draw, or the names do not fit the numbers.",
            code="nothing-to-draw",
            hint="pass at least one value, and exactly one name for each",
        )
