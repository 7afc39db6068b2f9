"""fieldmark: a folder of labelled examples becomes a convolutional network you can trust.

The public door, opened lazily: ``import fieldmark`` imports the standard library only, and each
name below imports what it needs when it is first used.

>>> import fieldmark as fm
>>> str(fm.net("tutorial", size=64))
'INPUT 64x64x3 -> CONV 32 3x3 -> RELU -> POOL 2x2 -> FC 128 -> RELU -> FC 1'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fieldmark.version import __version__

if TYPE_CHECKING:
    from fieldmark.config import Settings
    from fieldmark.errors import (
        BundleError,
        ConfigError,
        DataError,
        FieldmarkError,
        GateError,
        LayerListError,
        MissingExtra,
        StorageError,
        TrainingDiverged,
        UnreadableExample,
        UsageError,
    )
    from fieldmark.inference.predictor import Prediction, Predictor, Unread
    from fieldmark.workflow.checking import Check, check
    from fieldmark.workflow.comparing import Compared, compare
    from fieldmark.workflow.dataset import Dataset, load
    from fieldmark.workflow.doctor import Diagnosis, doctor
    from fieldmark.workflow.inspecting import Inspection, inspect
    from fieldmark.workflow.measuring import Evaluation, evaluate, predict
    from fieldmark.workflow.network import Net, net
    from fieldmark.workflow.reproducing import Reproduction, reproduce
    from fieldmark.workflow.run import Run, open_run
    from fieldmark.workflow.run import open_model as open
    from fieldmark.workflow.training import cross_validate, train
    from fieldmark.workflow.training import resume_named as resume

_WHERE = {
    "BundleError": "errors",
    "Check": "workflow.checking",
    "Compared": "workflow.comparing",
    "ConfigError": "errors",
    "DataError": "errors",
    "Dataset": "workflow.dataset",
    "Diagnosis": "workflow.doctor",
    "Evaluation": "workflow.measuring",
    "FieldmarkError": "errors",
    "GateError": "errors",
    "Inspection": "workflow.inspecting",
    "LayerListError": "errors",
    "MissingExtra": "errors",
    "Net": "workflow.network",
    "Prediction": "inference.predictor",
    "Predictor": "inference.predictor",
    "Reproduction": "workflow.reproducing",
    "Run": "workflow.run",
    "Settings": "config",
    "StorageError": "errors",
    "TrainingDiverged": "errors",
    "UnreadableExample": "errors",
    "Unread": "inference.predictor",
    "UsageError": "errors",
    "check": "workflow.checking",
    "compare": "workflow.comparing",
    "cross_validate": "workflow.training",
    "doctor": "workflow.doctor",
    "evaluate": "workflow.measuring",
    "inspect": "workflow.inspecting",
    "load": "workflow.dataset",
    "net": "workflow.network",
    "open": "workflow.run",
    "open_run": "workflow.run",
    "predict": "workflow.measuring",
    "reproduce": "workflow.reproducing",
    "resume": "workflow.training",
    "train": "workflow.training",
}
"""Public name -> the module that defines it; imported on first use."""

_RENAMED = {"open": "open_model", "resume": "resume_named"}

__all__ = [
    "BundleError",
    "Check",
    "Compared",
    "ConfigError",
    "DataError",
    "Dataset",
    "Diagnosis",
    "Evaluation",
    "FieldmarkError",
    "GateError",
    "Inspection",
    "LayerListError",
    "MissingExtra",
    "Net",
    "Prediction",
    "Predictor",
    "Reproduction",
    "Run",
    "Settings",
    "StorageError",
    "TrainingDiverged",
    "Unread",
    "UnreadableExample",
    "UsageError",
    "__version__",
    "check",
    "compare",
    "cross_validate",
    "doctor",
    "evaluate",
    "inspect",
    "load",
    "net",
    "open",
    "open_run",
    "predict",
    "reproduce",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'fieldmark' has no attribute {name!r}")
    value = getattr(import_module(f"fieldmark.{_WHERE[name]}"), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
