"""Pictures: any file's bytes to exactly ``spec.shape``, or one error that names the reason.

Pure: bytes in, array out; the same in training, prediction and serving. Content decides, never the
file's name. What is promised:

* The header is read first; a picture too large, too thin or too small is refused before any pixel.
* All eight EXIF orientations are applied; colour profiles are ignored; of an animation or a file of
  several pages the first picture counts.
* Transparency is laid over ``spec.background``; 16 bits become 8 by dividing by 257, not by
  clipping; floating-point pictures have no known range and are refused.
* JPEG is decoded by OpenCV, at a half, a quarter or an eighth of its size where that still leaves
  1.25 times the pixels wanted on both sides; everything else by Pillow.
* A side that shrinks is averaged over areas, a side that grows is interpolated (cubic); when one
  shrinks and the other grows, the shrinking comes first.

Not promised: damage inside compressed JPEG data mostly decodes without an error. libjpeg and
libtiff may print a line of their own about a damaged file.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import UnreadableExample
from fieldmark.modalities import costs, jpeg
from fieldmark.modalities.base import InputSpec
from fieldmark.modalities.opencv import opencv

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS: Final = 50_000_000
"""As width times height in the header, checked before decoding."""
MAX_ASPECT: Final = 100
"""Long side over short side."""
MIN_SIDE: Final = 8
"""Pixels of the short side."""

# An allow-list: Pillow would start Ghostscript for EPS. MPO, written by many phones, opens as JPEG.
_FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")
_MAGIC: Final = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM.{12}|II[*+]\0|MM\0[*+]|RIFF....WEBP|P[1-6]\s",
    re.DOTALL,
)
_PNG: Final = b"\x89PNG"
_HEIC_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
)
_REASONS: Final = {
    "empty-file": ("the file is empty", "copy it again from where it came"),
    "unknown-format": (
        "not a picture in a known format",
        "JPEG, PNG, GIF, BMP, TIFF, WebP, AVIF and PPM are read",
    ),
    "heic": ("an HEIC picture, which is not read", "convert it to JPEG"),
    "truncated": (
        "file ends too early",
        "copy it again; viewers may still show the part that is there",
    ),
    "damaged": ("the file is damaged", "copy it again from where it came"),
    "overloaded": ("it would keep a decoder busy for long", "save it again with another program"),
    "too-many-pixels": (f"more than {MAX_PIXELS // 10**6} million pixels", "make it smaller first"),
    "too-thin": (f"more than {MAX_ASPECT} times as long as wide", "cut it into pieces"),
    "too-small": (f"a side of fewer than {MIN_SIDE} pixels", "use a larger copy"),
    "unsupported-mode": (
        "numbers of unknown range instead of 8 or 16 bits",
        "save it with 8 or 16 bits per channel",
    ),
    "unsupported-kind": ("a kind of this format that is not read", "save it again as PNG or JPEG"),
}


def _unreadable(code: str, detail: str = "") -> UnreadableExample:
    what, hint = _REASONS[code]
    return UnreadableExample(f"{what} ({detail})" if detail else what, code=code, hint=hint)


class ImageModality:
    """Pictures, through the four names of :class:`fieldmark.modalities.base.Modality`."""

    name = "image"
    suffixes = frozenset(
        {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib"}
        | {".tif", ".tiff", ".webp", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"}
        | {".heic", ".heif"}  # not read, but named with their own reason instead of passed over
    )

    def decode(self, data: bytes, spec: InputSpec) -> NDArray[np.uint8]:
        """Turn one file's bytes into an array of exactly ``spec.shape``.

        Parameters
        ----------
        data : bytes
            The whole file.
        spec : InputSpec
            Size, channels, fit and background.

        Returns
        -------
        uint8 array of shape (spec.height, spec.width, spec.channels)
            RGB or grey, 0 to 255, C-contiguous.

        Raises
        ------
        UnreadableExample
            The only exception, whatever the bytes. Codes: ``empty-file``, ``unknown-format``,
            ``heic``, ``truncated``, ``damaged``, ``overloaded``, ``too-many-pixels``, ``too-thin``,
            ``too-small``, ``unsupported-mode``, ``unsupported-kind``.

        Examples
        --------
        >>> grey = b"P5 16 16 255 " + bytes(range(256))
        >>> ImageModality().decode(grey, InputSpec(height=8, width=8)).shape
        (8, 8, 3)
        """
        with opened(data) as image:
            pixels, bgr = oriented(data, image, spec)
            return _fit(pixels, spec, bgr=bgr)


IMAGE: Final = ImageModality()


@contextmanager
def opened(data: bytes) -> Iterator[Image]:
    """Read a file's header and refuse what is no picture to decode; nothing else is decoded yet.

    Yields
    ------
    PIL.Image.Image
        Its size, format and metadata are known.

    Raises
    ------
    UnreadableExample
        As :meth:`ImageModality.decode`, for whatever goes wrong inside the ``with`` too.
    """
    if not data:
        raise _unreadable("empty-file")
    if _is_heic(data):
        raise _unreadable("heic")
    if much := costs.excess(data):
        raise _unreadable("overloaded", much)
    _quiet_pillow()
    try:
        with _open(data) as image:
            _check_size(*image.size)
            _check_decoder(image, len(data))
            yield image
    except (UnreadableExample, MemoryError):  # a machine that is short of memory is no bad file
        raise
    except Exception as error:  # decoders raise whatever the bytes make them raise
        raise _unreadable(_code_of(error, data), _words(error)) from error


def oriented(data: bytes, image: Image, spec: InputSpec) -> tuple[NDArray[np.uint8], bool]:
    """Decode an opened picture, upright, at least as large as the spec needs.

    Returns
    -------
    uint8 array of shape (height, width, 3) or (height, width)
        Colour or grey.
    bool
        Whether its colours are in OpenCV's order, blue first.
    """
    if image.format in ("JPEG", "MPO"):
        if code := jpeg.problem(data):
            raise _unreadable(code)
        if image.mode in ("L", "RGB"):
            return _decode_jpeg(data, image, spec)
    return _decode_other(image, spec), False


def _quiet_pillow() -> None:
    # warnings.catch_warnings is not safe in threads, so one filter is added and left. It covers
    # Pillow's own remarks about odd files; every one of them ends here as a picture or as a
    # reason.
    pattern = r"PIL\."
    if not any(
        entry[3] is not None and _pattern_of(entry[3]) == pattern for entry in warnings.filters
    ):
        warnings.filterwarnings("ignore", module=pattern)


def _pattern_of(module: Any) -> str:
    return module if isinstance(module, str) else str(module.pattern)


def _is_heic(data: bytes) -> bool:
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    return not brands & {b"avif", b"avis"} and bool(brands & _HEIC_BRANDS)


def _open(data: bytes) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        if not _MAGIC.match(data) and data[4:8] != b"ftyp":
            raise _unreadable("unknown-format") from error
        raise _unreadable(_code_of(error, data), "its header cannot be read") from error


def _code_of(error: Exception, data: bytes) -> str:
    from PIL import Image

    if isinstance(error, Image.DecompressionBombError):
        return "too-many-pixels"
    words = str(error).lower()
    if "unsupported" in words or "not supported" in words:
        return "unsupported-kind"
    if data.startswith(b"\xff\xd8"):
        return jpeg.problem(data) or "damaged"
    cut = "truncat" in words or "end of file" in words or isinstance(error, EOFError)
    return (
        "truncated" if cut or (data.startswith(_PNG) and b"IEND" not in data[-64:]) else "damaged"
    )


def _words(error: Exception) -> str:
    """One short line; a decoder's message may repeat what the file says."""
    from PIL import Image

    if isinstance(error, Image.DecompressionBombError):
        return ""  # the limit it names is Pillow's, not ours
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(letter for letter in text if letter.isprintable())[:80]


def _check_size(width: int, height: int) -> None:
    size = f"{width}x{height}"
    if width * height > MAX_PIXELS:
        raise _unreadable("too-many-pixels", size)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise _unreadable("too-thin", size)
    if min(width, height) < MIN_SIDE:
        raise _unreadable("too-small", size)


def _check_decoder(image: Image, n_bytes: int) -> None:
    for codec, *_ in getattr(image, "tile", ()):
        most = costs.SLOW.get(codec, n_bytes)
        if n_bytes > most:
            limit = f"of this kind of {image.format} {most // 10**6} MB are read"
            raise _unreadable("overloaded", limit)


def orientation_of(image: Image) -> int:
    """Return what the camera wrote about how it was held, 1 to 8; 1 for none or nonsense."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # broken metadata is no reason to refuse whole pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _orient(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo what the camera wrote in tag 274 (EXIF 2.32), as ``ImageOps.exif_transpose`` does."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(pixels[rows, columns]) if orientation > 1 else pixels


def _reduction(width: int, height: int, spec: InputSpec) -> int:
    """Return the largest of 8, 4, 2, 1 that leaves 1.25 times the wanted pixels on both sides."""
    across, down = width / spec.width, height / spec.height
    shrink = max(across, down) if spec.fit == "pad" else min(across, down)
    return next((d for d in (8, 4, 2) if shrink / d >= 1.25), 1)


def _decode_jpeg(data: bytes, image: Image, spec: InputSpec) -> tuple[NDArray[np.uint8], bool]:
    cv2 = opencv()
    orientation = orientation_of(image)
    width, height = image.size
    turned = orientation in (5, 6, 7, 8)
    reduction = _reduction(*((height, width) if turned else (width, height)), spec)
    scale = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }[reduction]
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), scale | cv2.IMREAD_IGNORE_ORIENTATION)
    # libjpeg rounds the reduced size up. Anything else means that OpenCV and Pillow, which checked
    # the size, read different headers.
    if pixels is None or pixels.shape[:2] != (-(-height // reduction), -(-width // reduction)):
        return _decode_other(image, spec), False
    return _orient(pixels, orientation), True


def _decode_other(image: Image, spec: InputSpec) -> NDArray[np.uint8]:
    """Decode with Pillow at full size, to RGB or to a 2-D grey array."""
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")
    if not sixteen and image.mode in ("I", "F"):
        raise _unreadable("unsupported-mode", f"mode {image.mode}")
    if sixteen:
        pixels = _sixteen_bits(image, spec.background)
    elif image.has_transparency_data or image.mode in ("PA", "La", "RGBa"):
        pixels = _over_background(image, spec.background)
    else:
        image.load()
        mode = "L" if image.mode in ("1", "L") else "RGB"
        pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    # TIFF applies its own orientation while loading and then forgets it.
    return _orient(pixels, orientation_of(image))


def _sixteen_bits(image: Image, background: int) -> NDArray[np.uint8]:
    """Divide by 257, so that 65535 is 255: clipping would turn most of the picture white."""
    bits, inverted = 16, False
    if image.format == "TIFF":  # some cameras store 12 bits; in photometric 0 white is 0
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        bits, inverted = int(tags.get(258, (16,))[0]), tags.get(262) == 0
    clear = image.info.get("transparency")
    values = np.asarray(image)
    top = 2**bits - 1
    table = (np.minimum(np.arange(65536), top) * 255 + top // 2) // top
    if inverted:
        table = 255 - table
    if image.format == "PNG" and isinstance(clear, int) and 0 <= clear < 65536:
        table[clear] = background
    pixels: NDArray[np.uint8] = table.astype(np.uint8)[np.clip(values, 0, 65535)]
    return pixels


def _over_background(image: Image, background: int) -> NDArray[np.uint8]:
    image.load()
    layers = np.asarray(image.convert("RGBA"))
    pixels = np.empty((*layers.shape[:2], 3), np.uint8)
    for top in range(0, len(layers), 64):  # in strips: a whole 16-bit copy could take 300 MB
        strip = layers[top : top + 64]
        alpha = strip[:, :, 3:].astype(np.uint16)
        if (alpha == 255).all():
            pixels[top : top + 64] = strip[:, :, :3]
            continue
        mixed = strip[:, :, :3] * alpha
        mixed += background * (255 - alpha) + 128
        mixed += mixed >> 8  # with the next line: divided by 255 and rounded, without a division
        pixels[top : top + 64] = mixed >> 8
    return pixels


def _fit(pixels: NDArray[np.uint8], spec: InputSpec, *, bgr: bool = False) -> NDArray[np.uint8]:
    """Cut or pad an oriented picture, coloured or 2-D grey, to the spec's shape and colours."""
    cv2 = opencv()
    height, width = pixels.shape[:2]
    if spec.fit == "crop":
        rows = min(height, max(1, round(width * spec.height / spec.width)))
        columns = min(width, max(1, round(height * spec.width / spec.height)))
        top, left = (height - rows) // 2, (width - columns) // 2
        pixels = pixels[top : top + rows, left : left + columns]
    if spec.fit == "pad":
        scale = min(spec.width / width, spec.height / height)
        columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
        top, left = (spec.height - rows) // 2, (spec.width - columns) // 2
        frame = np.full((spec.height, spec.width, *pixels.shape[2:]), spec.background, np.uint8)
        frame[top : top + rows, left : left + columns] = _resize(pixels, columns, rows)
        pixels = frame
    else:
        pixels = _resize(pixels, spec.width, spec.height)
    # Colours last, when there are fewest pixels: swapping earlier would cost a whole copy.
    if spec.channels == 1 and pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY if bgr else cv2.COLOR_RGB2GRAY)
    elif spec.channels == 3 and pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    elif bgr:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    # Copied only where it is still a view of what a decoder holds.
    return np.require(pixels, requirements=["C", "W"]).reshape(spec.shape)


def _resize(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    cv2 = opencv()
    smaller = (min(width, pixels.shape[1]), min(height, pixels.shape[0]))
    if smaller != (pixels.shape[1], pixels.shape[0]):
        pixels = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    if smaller != (width, height):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    return pixels
