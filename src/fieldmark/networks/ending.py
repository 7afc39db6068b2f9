"""How a layer list ends: in an FC whose width fits the classes. Pure."""

from __future__ import annotations

from typing import NoReturn

from fieldmark.networks.layers import Activation, Dense, Item, Network
from fieldmark.networks.parser import fail


def fail_in(network: Network, at: int, what: str, *, hint: str, why: str = "") -> NoReturn:
    """Raise a LayerListError that points into the network's text.

    A network made by code has no text: it is printed, and its start is pointed at.
    """
    text = network.text or str(network)
    fail(text, at if network.text else 0, what, hint=hint, why=why)


def ending(network: Network) -> tuple[tuple[Item, ...], Dense]:
    """Return the items without a final SIGMOID or SOFTMAX, and the last FC, which they include.

    Raises
    ------
    LayerListError
        Code ``layer-list``: the list ends in something else, or the two do not fit each other.

    Examples
    --------
    >>> from fieldmark.networks.parser import parse
    >>> str(ending(parse("INPUT 8x8x3 -> GAP -> FC 1 -> SIGMOID"))[1])
    'FC 1'
    """
    items = network.items
    final: str | None = None
    if items and isinstance(items[-1], Activation):
        if items[-1].function not in ("softmax", "sigmoid"):
            at = items[-1].at
            fail_in(network, at, f"The list ends in {items[-1]}.", hint="end in FC, for scores")
        final = items[-1].function
        items = items[:-1]
    if not items or not isinstance(items[-1], Dense):
        at = items[-1].at if items else len(network.text)
        hint = "end the list in -> FC, outside of brackets"
        fail_in(network, at, "The last layer is not FC.", hint=hint)
    last = items[-1]
    single = last.units == 1
    if final is not None and single != (final == "sigmoid"):
        wanted = "SIGMOID goes with FC 1" if final == "sigmoid" else "FC 1 goes with SIGMOID"
        at = network.items[-1].at
        what = f"{final.upper()} does not fit {last}."
        fail_in(network, at, what, hint=f"{wanted}; or leave it out")
    return items, last


def check_width(network: Network, last: Dense, width: int, n_classes: int) -> None:
    """Refuse a last FC that does not give one score per class, or one for two classes.

    Raises
    ------
    LayerListError
        Code ``layer-list``.
    """
    if n_classes < 2:
        fail_in(network, last.at, f"{n_classes} classes leave no choice.", hint="give 2 or more")
    if width == n_classes or (width == 1 and n_classes == 2):
        return
    what = f"The last FC has {width} units, but there are {n_classes} classes."
    either = " (or FC 1)" if n_classes == 2 else ""
    fail_in(network, last.at, what, hint=f"leave its width out: FC{either}")
