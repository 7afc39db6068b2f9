"""Faults planted into copies of clean pictures: each kind is one function in a table.

Originals are read and never written. What is planted depends on names and the seed only.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

Pixels = np.ndarray
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Planted:
    """One fault: where it is, what it is a copy of, and which class it truly shows."""

    kind: str
    path: str
    source: str = ""
    true: str = ""


# --- kinds of copies: from a file's bytes to those of its copy, and what was done


def exact(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    return data, ""


def encoded(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    quality = rng.randint(30, 90)
    return jpeg(pixels_of(data), quality), f"quality {quality}"


def resized(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    scale = rng.uniform(0.5, 0.9)
    smaller = cv2.resize(pixels_of(data), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return jpeg(smaller), f"scale {scale:.2f}"


def cropped_around(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    return cut(data, 0.05, 0.95, 0.05, 0.95), "5 % off each side"


def cropped_side(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    side = rng.choice(("top", "bottom", "left", "right"))
    top, left = 0.1 * (side == "top"), 0.1 * (side == "left")
    bottom, right = 1 - 0.1 * (side == "bottom"), 1 - 0.1 * (side == "right")
    return cut(data, top, bottom, left, right), f"10 % off the {side}"


def cropped_corner(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    top, left = rng.choice((0.0, 0.1)), rng.choice((0.0, 0.1))
    return cut(data, top, top + 0.9, left, left + 0.9), "10 % off two sides"


def gained(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    gain = rng.choice((rng.uniform(0.6, 0.85), rng.uniform(1.15, 1.5)))
    changed = np.clip(pixels_of(data) * gain, 0, 255).astype(np.uint8)
    return jpeg(changed), f"gain {gain:.2f}"


def bent(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    gamma = rng.choice((rng.uniform(0.5, 0.8), rng.uniform(1.25, 2.0)))
    changed = (255 * (pixels_of(data) / 255.0) ** gamma).astype(np.uint8)
    return jpeg(changed), f"gamma {gamma:.2f}"


COPIES: dict[str, Callable[[bytes, random.Random], tuple[bytes, str]]] = {
    "exact copy": exact,
    "re-encoded, quality 30 to 90": encoded,
    "resized, 0.5 to 0.9": resized,
    "cropped, 5 % off each side": cropped_around,
    "cropped, 10 % off one side": cropped_side,
    "cropped, 10 % off two sides": cropped_corner,
    "gain 0.6 to 1.5": gained,
    "gamma 0.5 to 2": bent,
}


# --- planting into a folder of class folders


def plant_copies(folder: Path, share: float, rng: random.Random) -> list[Planted]:
    """Give a share of the pictures a copy each, the kinds in turn, beside the original."""
    chosen = drawn(pictures(folder), share, rng)
    done = []
    for at, source in enumerate(chosen):
        kind = list(COPIES)[at % len(COPIES)]
        data, _ = COPIES[kind](source.read_bytes(), rng)
        copy = source.with_name(f"{rng.getrandbits(40):010x}.jpg")
        copy.write_bytes(data)
        done.append(Planted(kind, named(copy, folder), named(source, folder)))
    return done


def plant_flips(
    folder: Path, share: float, rng: random.Random, taken: Iterable[str] = ()
) -> list[Planted]:
    """Move a share of the pictures into the folder of another class."""
    free = [path for path in pictures(folder) if named(path, folder) not in set(taken)]
    classes = sorted(path.name for path in folder.iterdir())
    done = []
    for source in sorted(rng.sample(free, round(share * len(pictures(folder))))):
        true = source.parent.name
        other = rng.choice([name for name in classes if name != true])
        moved = folder / other / f"{rng.getrandbits(40):010x}{source.suffix}"
        source.rename(moved)
        done.append(Planted("label flipped", named(moved, folder), true=true))
    return done


def plant_truncations(folder: Path, share: float, rng: random.Random) -> list[Planted]:
    """Add cut files: a share of the pictures, each ending at 20 to 90 % of its bytes."""
    done = []
    for source in drawn(pictures(folder), share, rng):
        data = source.read_bytes()
        copy = source.with_name(f"{rng.getrandbits(40):010x}.jpg")
        copy.write_bytes(data[: int(len(data) * rng.uniform(0.2, 0.9))])
        done.append(Planted("truncated", named(copy, folder)))
    return done


def plant_suffixes(folder: Path, share: float, rng: random.Random) -> list[Planted]:
    """Rename a share of the pictures, so that their name says another format."""
    done = []
    for source in drawn(pictures(folder), share, rng):
        renamed = source.with_name(f"{source.stem}.png")
        source.rename(renamed)
        done.append(Planted("wrong extension", named(renamed, folder)))
    return done


def plant_leaks(folder: Path, share: float, rng: random.Random) -> list[Planted]:
    """Put a copy of a share of the training pictures into the test part, the kinds in turn."""
    done = []
    for at, source in enumerate(drawn(pictures(folder / "train"), share, rng)):
        kind = list(COPIES)[at % len(COPIES)]
        data, _ = COPIES[kind](source.read_bytes(), rng)
        copy = folder / "test" / source.parent.name / f"{rng.getrandbits(40):010x}.jpg"
        copy.write_bytes(data)
        exactly = "exact" if kind == "exact copy" else "near"
        done.append(Planted(f"leak, {exactly}", named(copy, folder), named(source, folder)))
    return done


def plant_sizes(folder: Path, per_class: bool, rng: random.Random) -> None:
    """Give every picture one of two sizes: by its class, or by chance."""
    classes = sorted(path.name for path in folder.iterdir())
    for path in pictures(folder):
        which = classes.index(path.parent.name) % 2 if per_class else rng.randrange(2)
        size = ((160, 120), (200, 150))[which]
        path.write_bytes(jpeg(cv2.resize(pixels_of(path.read_bytes()), size)))


# --- small steps


def clean_set(
    base: Path, out: Path, n: int, rng: random.Random, without: Collection[str] = ()
) -> list[Path]:
    """Copy ``n`` pictures per class, no two of the same content; return the originals.

    ``without`` names pictures that have natural copies in the base.
    """
    originals, seen = [], set()
    for label in sorted(path for path in base.iterdir() if path.is_dir()):
        (out / label.name).mkdir(parents=True)
        found = pictures(label)
        rng.shuffle(found)
        n_taken = 0
        for path in found:
            digest = hash_of(path)
            if n_taken < n and digest not in seen and named(path, base) not in without:
                seen.add(digest)
                shutil.copyfile(path, out / label.name / path.name)
                originals.append(path)
                n_taken += 1
    return originals


def into_parts(folder: Path, out: Path, rng: random.Random) -> None:
    """Lay a clean set out as ready-made parts, three of four pictures for training."""
    for path in pictures(folder):
        part = "test" if rng.random() < 0.25 else "train"
        target = out / part / path.parent.name
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / path.name)


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def drawn(found: Sequence[Path], share: float, rng: random.Random) -> list[Path]:
    return sorted(rng.sample(list(found), round(share * len(found))))


def named(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pixels_of(data: bytes) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise SystemExit("an original cannot be decoded: the base set is not clean")
    return pixels


def jpeg(pixels: Pixels, quality: int = 92) -> bytes:
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise SystemExit("a copy cannot be encoded")
    return data.tobytes()


def cut(data: bytes, top: float, bottom: float, left: float, right: float) -> bytes:
    pixels = pixels_of(data)
    height, width = pixels.shape[:2]
    inside = pixels[
        round(top * height) : round(bottom * height), round(left * width) : round(right * width)
    ]
    return jpeg(np.ascontiguousarray(inside))
