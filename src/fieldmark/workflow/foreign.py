"""A backbone from elsewhere, read for a layer list: from its file, or by way of Keras."""

from __future__ import annotations

from pathlib import Path

from fieldmark.bundle import check_onnx, refuse_foreign
from fieldmark.config import Settings
from fieldmark.errors import BundleError
from fieldmark.networks import foreign_file
from fieldmark.networks.foreign import SCALINGS, ForeignBackbone, file_and_output, without_folder
from fieldmark.networks.layers import Backbone, Network
from fieldmark.training import backend
from fieldmark.training.events import Fetching, Listener, silent
from fieldmark.workflow.machine import cores


def foreign_of(
    network: Network, settings: Settings, listen: Listener = silent
) -> ForeignBackbone | None:
    """Read what a list's ``BACKBONE onnx:FILE`` or ``keras:NAME`` stands for; None: there is none.

    Parameters
    ----------
    network : Network
    settings : Settings
        ``run.allow_network`` and ``train.threads`` are read.
    listen : callable
        Told before anything is fetched.

    Raises
    ------
    UsageError
        Codes ``backbone-missing``, ``backbone-unsuited``, ``weights-missing``.
    BundleError
        Codes ``backbone-damaged``, ``backbone-unsafe``, ``weights-damaged``, ``model-foreign``.
    MissingExtra
        Code ``extra-missing``.
    """
    item = network.items[0] if network.items else None
    if not isinstance(item, Backbone) or not item.is_foreign:
        return None
    size = network.input.height, network.input.width
    if item.source.startswith("keras:"):
        found = _from_keras(item, size, settings, listen)
    else:
        refuse_foreign(Path(file_and_output(item.source)[0]), onnx=True)
        found = foreign_file.read(item, size)
    try:
        check_onnx(found.onnx)
    except BundleError as error:
        raise foreign_file.unsafe(item.source, error.what.rstrip(".")) from error
    return found


def _from_keras(
    item: Backbone, size: tuple[int, int], settings: Settings, listen: Listener
) -> ForeignBackbone:
    threads = settings.train.threads
    backend.prepare(cores() if threads == "auto" else threads)
    from fieldmark.networks import keras_backbone

    if settings.run.allow_network:
        listen(Fetching(what=f"weights of {item.source}", by="Keras"))
    data, scaling = keras_backbone.exported(
        item.source, size, allow_network=settings.run.allow_network
    )
    if item.scale is not None:
        scaling = SCALINGS[item.scale]
    return foreign_file.from_bytes(data, item.source, size, scaling)


def shipped(network: Network) -> Network:
    """Return the list without where a backbone lies on this computer: the file goes to others."""
    items = tuple(
        Backbone(without_folder(item.source), item.stages, item.scale)
        if isinstance(item, Backbone) and item.is_foreign
        else item
        for item in network.items
    )
    return Network(network.input, items)


def origin_of(found: ForeignBackbone) -> tuple[str, ...]:
    """Say where a backbone comes from, one sentence each, for the report and the card."""
    return (
        f"Backbone {without_folder(found.source)}, output {found.output_name!r}, used as it is; "
        f"SHA-256 {found.sha256}.",
        "Licence of its weights: unknown (for you to write).",
    )
