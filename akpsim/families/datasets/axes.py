"""Which axis of a microscope's file is what: time, channel, layer, height, width, colour sample."""

from dataclasses import dataclass
from pathlib import Path

from akpsim.errors import InvalidData

KNOWN = "TCZYXS"


@dataclass(frozen=True)
class Layout:
    """Axes of a file whose meaning is settled.

    Parameters
    ----------
    axes : str
        One letter an axis, as they lie in the file.
    shape : tuple of int
        Their lengths.
    time : int
        Index of the time point.
    """

    axes: str
    shape: tuple[int, ...]
    time: int = 0

    @property
    def colours(self) -> bool:
        """Whether channels are colour samples, such as red, green and blue."""
        return "S" in self.axes

    @property
    def channel_axis(self) -> str:
        """The letter of the axis that counts channels."""
        return "S" if self.colours else "C"

    @property
    def transposed(self) -> bool:
        """Whether width lies before height."""
        return self.axes.index("X") < self.axes.index("Y")

    @property
    def head(self) -> int:
        """How many axes lie before height and width."""
        return min(self.axes.index("X"), self.axes.index("Y"))

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of C, Z, Y and X; an absent axis has length 1; a fourth colour sample is transparency and goes."""
        sizes = {"C": 1, "Z": 1} | dict(zip(self.axes, self.shape, strict=True))
        if self.colours:
            sizes["C"] = min(sizes["S"], 3)
        return {axis: sizes[axis] for axis in "CZYX"}

    def place(self, channel: int, layer: int) -> tuple[int | slice, ...]:
        """Return the index of one plane."""
        chosen: dict[str, int | slice] = {"T": self.time, "Z": layer, self.channel_axis: channel}
        chosen |= {"Y": slice(None), "X": slice(None)}
        return tuple(chosen.get(axis, 0) for axis in self.axes)


def layout_of(
    path: Path, native: str, shape: tuple[int, ...], *, axes: str | None = None, time: int | None = None
) -> Layout:
    """Settle what the axes of a file are.

    Parameters
    ----------
    path : Path
        For messages.
    native : str
        Axes by the file's metadata; letters other than ``TCZYXS`` are of unknown meaning.
    shape : tuple of int
        Their lengths.
    axes : str, optional
        What the user says they are.
    time : int, optional
        Which time point, from 1.

    Raises
    ------
    InvalidData
        If an axis longer than 1 has no known meaning, there are several time points and none is chosen, or `axes`
        does not fit.
    """
    said = native if axes is None else checked(axes.upper(), path, native, shape)
    vague = [axis for axis, size in zip(said, shape, strict=True) if axis not in KNOWN and size > 1]
    if vague:
        guess = said.replace(vague[0], "Z" if "Z" not in said else "C", 1)
        raise InvalidData(
            f"{path} has axes {said} of lengths {lengths(shape)} and does not say what {vague[0]} is; "
            f"say it with `--axes`, for example `--axes {guess}`"
        )
    if "Y" not in said or "X" not in said:
        raise InvalidData(f"{path} has axes {said} of lengths {lengths(shape)}; Y and X are needed")
    sizes = dict(zip(said, shape, strict=True))
    if "S" in said and sizes.get("C", 1) > 1:
        raise InvalidData(f"{path} has both channels and colour samples (axes {said}); export the channels alone")
    times = sizes.get("T", 1)
    if times > 1 and time is None:
        raise InvalidData(
            f"{path} has {times} time points (axes {said}, lengths {lengths(shape)}); choose one with `--time`"
        )
    time = 1 if time is None else time
    if not 1 <= time <= times:
        raise InvalidData(f"{path}: `--time` must lie in [1, {times}], got {time}")
    return Layout(said, tuple(int(size) for size in shape), time - 1)


def checked(axes: str, path: Path, native: str, shape: tuple[int, ...]) -> str:
    """Return the user's axes if they can be those of the file."""
    if set(axes) - set(KNOWN) or len(set(axes)) < len(axes) or not {"Y", "X"} <= set(axes):
        raise InvalidData(f"`--axes` names each of {', '.join(KNOWN)} at most once, Y and X among them; got {axes!r}")
    if len(axes) != len(shape):
        raise InvalidData(
            f"`--axes {axes}` names {len(axes)} axes, but {path} has {len(shape)}, of lengths {lengths(shape)} "
            f"(its metadata say {native})"
        )
    if axes != native and set(native) <= set(KNOWN):
        raise InvalidData(
            f"`--axes {axes}` contradicts {path}, whose metadata say {native}; leave `--axes` away or mend the file"
        )
    return axes


def lengths(shape: tuple[int, ...]) -> str:
    """Return lengths as text."""
    return " x ".join(str(size) for size in shape)
