"""Every setting: typed, explained, with its default; from TOML and back.

Pure but for :func:`read`. Unknown names are refused with the nearest one. ``auto`` means: chosen
from the data by :mod:`fieldmark.training.recipe`; the file saved in a run holds no ``auto`` any
more, so that ``fieldmark train --config RUN/config.toml`` repeats it.

* ``tables``: what there is to set;
* ``checks``: what is possible;
* ``toml``: the file, and the presets.
"""

from fieldmark.config.checks import check_ranges, n_bytes, seconds, sizes
from fieldmark.config.tables import (
    AuditSettings,
    Auto,
    DataSettings,
    DecideSettings,
    HeadSettings,
    NetSettings,
    RunSettings,
    Settings,
    SplitSettings,
    TrainSettings,
)
from fieldmark.config.toml import MADE, PRESETS, from_tables, preset, read, to_table, to_toml

__all__ = [
    "MADE",
    "PRESETS",
    "AuditSettings",
    "Auto",
    "DataSettings",
    "DecideSettings",
    "HeadSettings",
    "NetSettings",
    "RunSettings",
    "Settings",
    "SplitSettings",
    "TrainSettings",
    "check_ranges",
    "from_tables",
    "n_bytes",
    "preset",
    "read",
    "seconds",
    "sizes",
    "to_table",
    "to_toml",
]
