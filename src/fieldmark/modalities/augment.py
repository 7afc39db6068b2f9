"""Small random changes to pictures: one affine warp and one change of colour each.

Pure: an example's change is a function of its draws (:func:`fieldmark.rng.uniforms`) alone.
Rotation, shift, shear, zoom and flip are composed into a single matrix, so that a picture is
interpolated once. With the same parameters the matrix is that of Keras' legacy
``ImageDataGenerator`` on square pictures, its shear in *degrees* included. (On other pictures
Keras turns around a point that is not the middle; here it always is the middle.)

OpenCV 5 places sub-pixel positions exactly; OpenCV 4 on steps of 1/32 pixel, so up to 1/64 off,
which is 4 grey levels at an edge from black to white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fieldmark.errors import ConfigError
from fieldmark.modalities.opencv import opencv

Border = Literal["edge", "reflect"]
"""What fills the places that come from outside: the nearest pixel, or the mirrored picture."""

N_DRAWS: Final = 9
"""Numbers an example needs: rotation, two shifts, shear, two zooms, flip, brightness, contrast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far pictures may be changed while training. Every range is drawn from uniformly.

    Examples
    --------
    >>> Augmentation(rotate_degrees=10, flip=True).changes_colour
    False
    """

    shear_degrees: float = 0.0
    """Up to this angle either way, 0 to 60."""
    zoom: float = 0.0
    """0.2 scales by 0.8 to 1.2, 0 to 0.9; below 1 comes nearer, as in Keras."""
    zoom_keeps_aspect: bool = False
    """One factor for both axes, instead of one each."""
    flip: bool = False
    """Left and right swapped, for every second picture."""
    rotate_degrees: float = 0.0
    """Up to this angle either way, 0 to 180."""
    shift: float = 0.0
    """As a fraction of each side, either way, 0 to 1."""
    brightness: float = 0.0
    """Added, as a fraction of the whole range, either way, 0 to 1."""
    contrast: float = 0.0
    """0.1 stretches around the middle grey by 0.9 to 1.1, 0 to 1."""
    border: Border = "reflect"
    """See :data:`Border`."""

    def __post_init__(self) -> None:
        limits = {
            "shear_degrees": 60.0,
            "zoom": 0.9,
            "rotate_degrees": 180.0,
            "shift": 1.0,
            "brightness": 1.0,
            "contrast": 1.0,
        }
        for name, limit in limits.items():
            value = getattr(self, name)
            if not 0 <= value <= limit:
                raise ConfigError(
                    f"The augmentation's {name} is {value}; 0 to {limit:g} is possible.",
                    code="augmentation",
                    where=name,
                    hint=f"choose 0 to {limit:g}",
                )
        if self.border not in get_args(Border):
            raise ConfigError(
                f"The augmentation's border is {self.border!r}; edge or reflect is possible.",
                code="augmentation",
                where="border",
                hint="choose edge or reflect",
            )

    @property
    def changes_colour(self) -> bool:
        """Whether :func:`colours` ever returns anything but gain 1 and offset 0."""
        return self.brightness > 0 or self.contrast > 0


NONE: Final = Augmentation()
LIGHT: Final = Augmentation(
    flip=True, rotate_degrees=10, zoom=0.15, zoom_keeps_aspect=True, shift=0.06, brightness=0.1
)
STRONG: Final = Augmentation(
    flip=True,
    rotate_degrees=12,
    zoom=0.25,
    zoom_keeps_aspect=True,
    shift=0.1,
    brightness=0.15,
    contrast=0.2,
)
# The tutorial's shear_range=0.2 meant 0.2 degrees in Keras, hardly a change; kept as it was.
ARTICLE: Final = Augmentation(shear_degrees=0.2, zoom=0.2, flip=True, border="edge")

AUGMENTATIONS: Final[dict[str, Augmentation]] = {
    "none": NONE,
    "light": LIGHT,
    "strong": STRONG,
    "article": ARTICLE,
}
"""The named strengths, in the order they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Warps:
    """The geometric parameters of n pictures, as float64 arrays of shape (n,)."""

    rotate_degrees: NDArray[np.float64]
    shift_x: NDArray[np.float64]
    """Pixels along the rows."""
    shift_y: NDArray[np.float64]
    """Pixels along the columns."""
    shear_degrees: NDArray[np.float64]
    zoom_x: NDArray[np.float64]
    """1 is unchanged; below 1 enlarges."""
    zoom_y: NDArray[np.float64]
    flip: NDArray[np.bool_]
    """Left and right swapped after everything else."""

    def matrices(self, height: int, width: int) -> NDArray[np.float32]:
        """Compose rotation, shift, shear and zoom about the picture's middle, then the flip.

        Returns
        -------
        float32 array of shape (n, 2, 3)
            From a pixel (x, y, 1) of the result to its place in the source: the sense of OpenCV's
            ``WARP_INVERSE_MAP`` and of ``scipy.ndimage.affine_transform``.
        """
        angle, shear = np.deg2rad(self.rotate_degrees), np.deg2rad(self.shear_degrees)
        cos, sin = np.cos(angle), np.sin(angle)
        linear = np.empty((len(angle), 2, 2))
        linear[:, 0, 0] = cos * self.zoom_x
        linear[:, 1, 0] = sin * self.zoom_x
        linear[:, 0, 1] = (-cos * np.sin(shear) - sin * np.cos(shear)) * self.zoom_y
        linear[:, 1, 1] = (-sin * np.sin(shear) + cos * np.cos(shear)) * self.zoom_y
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        moved = np.stack(
            [cos * self.shift_x - sin * self.shift_y, sin * self.shift_x + cos * self.shift_y],
            axis=1,
        )
        offset = middle + moved - linear @ middle
        # A flipped result reads from the mirrored column: x becomes width - 1 - x before the rest.
        offset += np.where(self.flip[:, None], linear[:, :, 0] * (width - 1), 0.0)
        linear[:, :, 0] *= np.where(self.flip, -1.0, 1.0)[:, None]
        # + 0.0 turns -0.0 into 0.0, so that the identity and the plain flip are recognised bit by
        # bit.
        return (np.concatenate([linear, offset[:, :, None]], axis=2) + 0.0).astype(np.float32)


def warps(augmentation: Augmentation, draws: NDArray[np.float64], height: int, width: int) -> Warps:
    """Turn uniform draws, float64 of shape (n, :data:`N_DRAWS`) in [0, 1), into parameters."""
    signed = 2.0 * draws - 1.0
    zoom = 1.0 + augmentation.zoom * signed[:, 4:6]
    return Warps(
        rotate_degrees=augmentation.rotate_degrees * signed[:, 0],
        shift_x=augmentation.shift * width * signed[:, 1],
        shift_y=augmentation.shift * height * signed[:, 2],
        shear_degrees=augmentation.shear_degrees * signed[:, 3],
        zoom_x=zoom[:, 0],
        zoom_y=zoom[:, 0 if augmentation.zoom_keeps_aspect else 1],
        flip=(draws[:, 6] < 0.5) & augmentation.flip,
    )


def warp_matrices(
    augmentation: Augmentation, draws: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float32]:
    """Return one 2x3 matrix per row of draws; see :meth:`Warps.matrices`.

    Examples
    --------
    >>> warp_matrices(NONE, np.zeros((1, N_DRAWS)), 64, 64).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    return warps(augmentation, draws, height, width).matrices(height, width)


def colours(
    augmentation: Augmentation, draws: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return gain and offset, each of shape (n,): a pixel becomes ``gain * pixel + offset``.

    Examples
    --------
    >>> gain, offset = colours(Augmentation(brightness=0.1), np.full((1, N_DRAWS), 0.75))
    >>> float(gain[0]), round(float(offset[0]), 2)
    (1.0, 12.75)
    """
    signed = 2.0 * draws - 1.0
    gain = 1.0 + augmentation.contrast * signed[:, 8]
    return gain, 255.0 * augmentation.brightness * signed[:, 7] + 127.5 * (1.0 - gain)


def shrunk(images: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return pictures with fewer pixels, each the average of the area it stands for.

    Parameters
    ----------
    images : uint8 array of shape (n, more rows, more columns, channels)
    height, width : int
        Wanted, in pixels.

    Examples
    --------
    >>> shrunk(np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1), 2, 2).ravel().tolist()
    [3, 5, 11, 13]
    """
    cv2 = opencv()
    out = np.empty((len(images), height, width, images.shape[3]), np.uint8)
    for image, small in zip(images, out, strict=True):
        cv2.resize(image, (width, height), dst=small, interpolation=cv2.INTER_AREA)
    return out


def changed(
    augmentation: Augmentation, images: NDArray[np.uint8], draws: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return pictures, each changed by its own draws.

    Parameters
    ----------
    augmentation : Augmentation
    images : uint8 array of shape (n, height, width, channels)
    draws : float64 array of shape (n, N_DRAWS)
        From :func:`fieldmark.rng.uniforms`.
    """
    matrices = warp_matrices(augmentation, draws, *images.shape[1:3])
    gains, offsets = colours(augmentation, draws)
    out = np.empty_like(images)
    for at, image in enumerate(images):
        gain, offset = float(gains[at]), float(offsets[at])
        apply(image, matrices[at], gain, offset, border=augmentation.border, out=out[at])
    return out


_IDENTITY: Final = np.array([[1, 0, 0], [0, 1, 0]], np.float32).tobytes()


def apply(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float32],
    gain: float = 1.0,
    offset: float = 0.0,
    *,
    border: Border = "reflect",
    out: NDArray[np.uint8],
) -> None:
    """Write one changed picture into ``out``.

    The identity is copied and a plain flip is exact; everything else is interpolated linearly,
    once.

    Parameters
    ----------
    image : uint8 array of shape (height, width, channels)
        The source; not changed.
    matrix : float32 array of shape (2, 3)
        One of :func:`warp_matrices`.
    gain, offset : float
        Of :func:`colours`; the result is rounded and kept within 0 to 255.
    border : {"edge", "reflect"}
        See :data:`Border`.
    out : uint8 array of the same shape, C-contiguous
        Receives the result.
    """
    cv2 = opencv()
    width = image.shape[1]
    if matrix.tobytes() == _IDENTITY:
        out[...] = image
    elif matrix.tobytes() == np.array([[-1, 0, width - 1], [0, 1, 0]], np.float32).tobytes():
        cv2.flip(image, 1, dst=out)
    else:
        cv2.warpAffine(
            image,
            matrix,
            (width, image.shape[0]),
            dst=out,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE if border == "edge" else cv2.BORDER_REFLECT_101,
        )
    if gain != 1.0 or offset != 0.0:
        levels = np.clip(np.rint(gain * np.arange(256.0) + offset), 0, 255).astype(np.uint8)
        cv2.LUT(out, levels, dst=out)
