"""The file ``name.fieldmark``: one trained network, and everything needed to answer with it.

This room alone reads and writes model files. It promises that opening one runs no code from it,
reaches no other file, holds at most :data:`MAX_BYTES`, and refuses with
:class:`~fieldmark.errors.BundleError` whatever is damaged (``model-damaged``), too new
(``model-newer``), unsafe (``model-unsafe``) or another tool's (``model-foreign``). It does not run
the network: that is :mod:`fieldmark.inference`. It may import ``modalities`` and what lies below;
never ``data``, ``networks`` or Keras, and not ``onnx``.

``file``
    :func:`inspect`, :func:`read` and :func:`write`.
``contents``
    :class:`Bundle`, and how its fields become parts and back.
``container``
    The zip, of which there is exactly one legal form.
``deciding``
    What the decision may say.
``graph``, ``sizing``, ``shapes``, ``protobuf``
    What an ONNX graph may hold, and how large its tensors become.
``tensors``, ``strict_json``
    What arrays and JSON may say.
``strangers``
    Model files of other tools, told by their first bytes.
``refusal``
    The four ways to say no.

**Formats 1 to 3.** Format 2 is format 1 with ``model.int8.onnx``, format 3 either with
``unknown.safetensors``; a file without these parts is written as format 1, so that older versions
read it. A zip of the parts below in this order, STORED,
dated 1980-01-01, without extra fields, comments or gaps. Equal contents are therefore equal bytes,
and any changed byte is noticed, in a part or between parts. Text is UTF-8; JSON has sorted keys,
and neither repeated keys nor NaN nor infinity.

=======================  ==========================================================================
``fieldmark.json``       ``format``; ``fieldmark``, the version that wrote it; ``name``;
                         ``created``, a text; ``network``, the first 16 hex digits of the
                         layer list's SHA-256; and ``parts``: ``size`` in bytes and ``sha256`` of
                         every other part. At most 1 MiB and, as all JSON here, 32 levels
``network.txt``          the layer list
``model.onnx``           ``pixels`` uint8 (N, H, W, C) to ``logits`` and ``scores`` (N, K),
                         ``features`` (N, F) and ``maps`` (N, C, h, w), float32. No external data,
                         function, sub-graph or operator outside ONNX' default domain
``model.int8.onnx``      the same network with its convolutions in int8, by the same rules
                         (from format 2 on, optional)
``weights.safetensors``  the trained arrays (optional)
``classes.json``         the class names, in the order of the K columns
``input.json``           the decode spec: ``InputSpec.to_dict()``
``decision.json``        how logits become an answer: an object; ``temperature`` is 1.0 where
                         absent. ``accept``: ``margin`` in logits, ``error``, ``confidence``,
                         ``text``; ``unknown``: ``distance``, ``share``; ``sets``: ``margin``,
                         ``confidence``. One that is absent is not judged, and other keys are for
                         people. Versions that know format 2 alone read the temperature only
``unknown.safetensors``  what the features of known pictures look like, float32: ``means`` (K, F),
                         ``basis`` (D, F), ``scales`` (D + 1); there exactly if
                         ``decision.json`` has ``unknown`` (format 3 only)
``recipe.toml``          the resolved settings of the training (optional); versions that know it add
                         a table ``made``: the data's hash, and the computer
``report.json``          how good it is (optional)
``card.md``              what it is for, in words (optional)
``golden/inputs.npy``    1 to 64 real inputs, uint8 (n, H, W, C)
``golden/scores.npy``    what they score, float32 (n, K): softmax(logits / temperature)
=======================  ==========================================================================

The model id is ``sha256:`` and the hash of ``fieldmark.json``: it names every byte of every part.
It is no signature: it says that nothing changed since it was noted, not who wrote the file.

**To change the format** raise ``FORMAT`` in ``file.py``, keep reading every older number, write the
change into this text, and add ``tests/golden/bundle_v<FORMAT>.fieldmark`` with its expected scores;
the older golden files stay and stay tested. A new optional part is a change too: readers refuse
what they do not know.
"""

from fieldmark.bundle.container import MAX_BYTES, PARTS
from fieldmark.bundle.contents import Bundle, WeightsNotRead
from fieldmark.bundle.deciding import Thresholds
from fieldmark.bundle.file import FORMAT, Header, Part, inspect, read, write
from fieldmark.bundle.graph import check_onnx
from fieldmark.bundle.sizing import Cost, cost_of
from fieldmark.bundle.strangers import refuse_foreign

__all__ = [
    "FORMAT",
    "MAX_BYTES",
    "PARTS",
    "Bundle",
    "Cost",
    "Header",
    "Part",
    "Thresholds",
    "WeightsNotRead",
    "check_onnx",
    "cost_of",
    "inspect",
    "read",
    "refuse_foreign",
    "write",
]
