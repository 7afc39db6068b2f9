"""A model file answering: from a file's bytes to a label with its score.

One way in for training's last measurement, the command line, Python and a server, so all of them
give the same answer: decode with the model's spec, run its network, divide the logits by its
temperature, softmax, name the classes, decide. Opening runs the golden inputs first; after that the
same bytes give the same answer. Reads the files it is given and writes nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fieldmark import bundle as bundles
from fieldmark.bundle import Bundle
from fieldmark.errors import BundleError, UnreadableExample, UsageError
from fieldmark.inference.files import MAX_FILE_BYTES, read_file
from fieldmark.inference.judging import Judge, Judged
from fieldmark.inference.precision import Precision, as_precision, network_of
from fieldmark.inference.prediction import LabelScore, Prediction, Unread
from fieldmark.inference.runtime import Engine, Output, Outputs, Runtime, open_runtime
from fieldmark.modalities.base import InputSpec, Modality
from fieldmark.pool import map_ordered

__all__ = [
    "GOLDEN_TOLERANCE",
    "INT8_TOLERANCE",
    "MAX_FILE_BYTES",
    "Judged",
    "LabelScore",
    "Precision",
    "Prediction",
    "Predictor",
    "Unread",
    "as_precision",
]

GOLDEN_TOLERANCE: Final = 1e-3
"""The largest difference of a score between the machine that wrote a model and this one."""

INT8_TOLERANCE: Final = 0.25
"""The same for an int8 network against the float network's scores, averaged over the inputs.

Measured with solved heads on EfficientNet-Lite0: 0.44 on the worst of 864 pictures of five classes,
0.25 on one in a hundred, with the same accuracy.
"""


@dataclass(frozen=True, slots=True)
class _Decoded:
    file: str
    sha256: str
    pixels: NDArray[np.uint8]
    ms: float


class Predictor:
    """One opened model; final. Safe to call from several threads.

    Parameters
    ----------
    bundle : Bundle
        What answers; :meth:`open` reads it from a file.
    runtime : Runtime
        What runs its network.
    precision : {"float32", "int8"}, default="float32"
        Which of its networks that is.
    modality : Modality, optional
        What decodes; pictures by default.

    Examples
    --------
    ::

        predictor = Predictor.open("birds.fieldmark")
        answer = predictor.predict("heron.jpg")
        print(answer.label, answer.score)
    """

    def __init__(
        self,
        bundle: Bundle,
        runtime: Runtime,
        *,
        precision: Precision = "float32",
        modality: Modality | None = None,
    ) -> None:
        if modality is None:
            from fieldmark.modalities import MODALITIES

            modality = MODALITIES["image"]
        self._bundle = bundle
        self._runtime = runtime
        self._precision = precision
        self._modality = modality
        self._judge = Judge(bundle)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        threads: int = 0,
        precision: Precision = "float32",
        engine: Engine = "auto",
        bulk: bool = False,
        modality: Modality | None = None,
    ) -> Predictor:
        """Read a model file, open its network and let it prove itself.

        Parameters
        ----------
        path : Path or str
            A ``.fieldmark`` file.
        threads : int, default=0
            Of the network; 0 lets the engine choose.
        precision : {"float32", "int8"}, default="float32"
            Which of the file's networks answers; int8 is quicker and rounds, and only some files
            hold it.
        engine : {"auto", "onnxruntime", "openvino"}, default="auto"
            What runs it; see :func:`fieldmark.inference.runtime.open_runtime`.
        bulk : bool, default=False
            Many files are to come: rather many a second than the first one soon.
        modality : Modality, optional
            What decodes; pictures by default.

        Raises
        ------
        UsageError
            ``no-model``: there is no such file. ``float-only``: it holds no int8 network.
            ``precision-unknown`` or ``engine-unknown``.
        MissingExtra
            ``extra-missing``: the engine is not installed.
        BundleError
            ``model-damaged``, ``model-newer``, ``model-unsafe``, ``engine-differs`` or
            ``golden-mismatch``.
        """
        bundle = bundles.read(path)
        onnx = network_of(bundle, precision, str(path))
        try:
            runtime = open_runtime(onnx, threads=threads, engine=engine, bulk=bulk)
            predictor = cls(bundle, runtime, precision=precision, modality=modality)
            predictor.verify()
        except BundleError as error:
            error.where = error.where or str(path)
            raise
        return predictor

    @property
    def name(self) -> str:
        """The model's name."""
        return self._bundle.name

    @property
    def model_id(self) -> str:
        """``sha256:`` and 64 hex digits; empty for a bundle that was never written."""
        return self._bundle.model_id

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the columns of :meth:`scores`."""
        return self._bundle.classes

    @property
    def spec(self) -> InputSpec:
        """The array that the network accepts, and how a file becomes it."""
        return self._bundle.spec

    @property
    def precision(self) -> Precision:
        """What the network computes in."""
        return self._precision

    @property
    def bundle(self) -> Bundle:
        """Everything else that is in the file."""
        return self._bundle

    @property
    def runtime(self) -> Runtime:
        """What runs the network; gives feature maps too."""
        return self._runtime

    def verify(self) -> float:
        """Run the golden inputs and return the difference from their scores.

        In float32 that is the largest of all. An int8 network is compared with the float network's
        scores, and pictures that lie between two classes move much more than others; there it is
        the largest of each input, averaged over them.

        Raises
        ------
        BundleError
            ``golden-mismatch`` above :data:`GOLDEN_TOLERANCE`, or :data:`INT8_TOLERANCE` in int8.
        """
        found = self.scores(self._bundle.golden_inputs)
        differences = np.abs(found - self._bundle.golden_scores).max(axis=1)
        is_int8 = self._precision == "int8"
        difference = float(differences.mean() if is_int8 else differences.max())
        allowed = INT8_TOLERANCE if is_int8 else GOLDEN_TOLERANCE
        if difference > allowed:
            raise BundleError(
                f"The model's own examples score differently here, by {difference:.4f}; "
                f"{allowed} is allowed.",
                code="golden-mismatch",
                why="Its answers on this machine would not be those that were measured.",
                hint="copy the file again; if that does not help, upgrade the engine",
            )
        return difference

    def scores(self, pixels: NDArray[np.uint8], batch: int = 16) -> NDArray[np.float32]:
        """Score decoded pictures.

        Parameters
        ----------
        pixels : uint8 array of shape (n, height, width, channels)
            As the modality decodes them with :attr:`spec`; may be memory-mapped.
        batch : int, default=16
            Pictures per run of the network, several of which may be under way; changes speed and
            memory and nothing else.

        Returns
        -------
        float32 array of shape (n, n_classes)
            softmax(logits / temperature); rows sum to 1.

        Raises
        ------
        UsageError
            ``wrong-input`` for another shape or type; ``batch-size`` below 1.
        BundleError
            ``model-damaged`` if the network gives something that is not one finite number per
            class.
        """
        _check_batch(batch)
        batch = self.batch_of(batch)
        found = np.empty((len(pixels), len(self.classes)), dtype=np.float32)
        for start, given in self._answers(pixels, batch, ("logits",)):
            n = len(pixels[start : start + batch])
            found[start : start + n] = self._judge.scores(given, n)
        return found

    def batch_of(self, wanted: int) -> int:
        """Return how many pictures are answered at once: fewer where the network is very large."""
        return self._bundle.cost.batch(wanted)

    def judge(
        self, pixels: NDArray[np.uint8], batch: int = 16, *, features: bool = False
    ) -> Judged:
        """Score pictures and decide on each; ``features`` keeps what the last layer saw."""
        _check_batch(batch)
        batch = self.batch_of(batch)
        outputs = dict.fromkeys((*self._judge.outputs, *(("features",) if features else ())))
        parts: list[Judged] = []
        rows: list[NDArray[np.float32]] = []
        for start, given in self._answers(pixels, batch, tuple(outputs)):
            n = len(pixels[start : start + batch])
            parts.append(self._judge.judged(given, n))
            if features and given.features is not None:
                rows.append(given.features[:n])
        strange = [part.strangeness for part in parts if part.strangeness is not None]
        empty = np.empty((0, len(self.classes)), np.float32)
        return Judged(
            scores=np.concatenate([empty, *(part.scores for part in parts)]),
            logits=np.concatenate([empty, *(part.logits for part in parts)]),
            strangeness=np.concatenate(strange) if strange else None,
            decisions=tuple(each for part in parts for each in part.decisions),
            features=np.concatenate(rows) if rows else None,
        )

    def _answers(
        self, pixels: NDArray[np.uint8], batch: int, outputs: Sequence[Output]
    ) -> Iterator[tuple[int, Outputs]]:
        """Yield where each batch starts, and what the network gave for it."""
        if 0 < len(pixels) <= batch:
            yield 0, self._runtime.run(pixels, outputs)
            return
        starts = range(0, len(pixels), batch)
        parts = (pixels[start : start + batch] for start in starts)
        yield from zip(starts, self._runtime.stream(parts, outputs), strict=True)

    def predict(self, source: Path | str | bytes, *, sets: bool = False) -> Prediction:
        """Answer one file, or the bytes of one; with ``sets`` its prediction set too.

        Raises
        ------
        UnreadableExample
            With the reason as its code; ``no-file`` where there is none.
        """
        started = time.perf_counter()
        data = source if isinstance(source, bytes) else read_file(source)
        name = "" if isinstance(source, bytes) else str(source)
        return self._answer([self._decode(data, name, started)], sets)[0]

    def predict_files(
        self,
        paths: Iterable[Path | str],
        *,
        threads: int = 2,
        batch: int = 64,
        sets: bool = False,
    ) -> Generator[Prediction | Unread, None, None]:
        """Answer many files, in their order; a file that cannot be read fails alone.

        Parameters
        ----------
        paths : iterable of Path or str
            May be endless: at most two batches are in memory.
        threads : int, default=2
            That decode, while the network runs on the files before.
        batch : int, default=64
            Files that are decoded together.
        sets : bool, default=False
            Give prediction sets too, where the model file has a rule for them.

        Yields
        ------
        Prediction or Unread
            One for every path.

        Raises
        ------
        UsageError
            ``batch-size`` below 1.
        DataError
            ``stuck``: nothing came of a file for minutes.
        """
        _check_batch(batch)
        decoded = map_ordered(self._try_decode, paths, threads=threads, ahead=batch)
        with closing(decoded):
            while done := list(islice(decoded, batch)):
                good = [one for one in done if isinstance(one, _Decoded)]
                answers = iter(self._answer(good, sets))
                yield from (one if isinstance(one, Unread) else next(answers) for one in done)

    def _try_decode(self, path: Path | str) -> _Decoded | Unread:
        started, data = time.perf_counter(), None
        try:
            data = read_file(path)
            return self._decode(data, str(path), started)
        except UnreadableExample as error:
            sha256 = "" if data is None else hashlib.sha256(data).hexdigest()
            return Unread(str(path), error.code, error.what, sha256)

    def _decode(self, data: bytes, name: str, started: float) -> _Decoded:
        pixels = self._modality.decode(data, self.spec)
        sha256, ms = hashlib.sha256(data).hexdigest(), 1000 * (time.perf_counter() - started)
        return _Decoded(file=name, sha256=sha256, pixels=pixels, ms=ms)

    def _answer(self, decoded: Sequence[_Decoded], sets: bool) -> list[Prediction]:
        if not decoded:
            return []
        started = time.perf_counter()
        judged = self.judge(np.stack([one.pixels for one in decoded]))
        ms = 1000 * (time.perf_counter() - started) / len(decoded)
        return [
            Prediction(
                file=one.file,
                sha256=one.sha256,
                scores=self._ranked(judged.scores[at]),
                decision=judged.decisions[at],
                reason=self._judge.reason(judged, at),
                ood=self._judge.ood(judged, at),
                members=self._judge.members(judged, at) if sets else None,
                model_name=self.name,
                model_id=self.model_id,
                ms=one.ms + ms,
            )
            for at, one in enumerate(decoded)
        ]

    def _ranked(self, row: NDArray[np.float32]) -> tuple[LabelScore, ...]:
        order = np.argsort(-row, kind="stable")  # stable: equal scores stay in class order
        return tuple(LabelScore(self.classes[i], float(row[i])) for i in order)


def _check_batch(batch: int) -> None:
    if batch < 1:
        raise UsageError(
            f"The batch was asked to have {batch} pictures.",
            code="batch-size",
            hint="1 or more; it changes speed and memory only",
        )
