"""A contact sheet: small copies of many images on one page, class by class, so that somebody looks at them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from akpsim.errors import InvalidData

CONTACT_SHEET = "contact_sheet.png"
"""Its name beside the images, among which it does not count."""
THUMBNAIL = 112
"""Pixels of the longer side."""
MARGIN = 6
PER_ROW = 12
PER_CLASS = 60
"""At most so many of a class, evenly spaced over it."""


def write_contact_sheet(path: Path, images: Sequence[Path], labels: Sequence[str], *, synthetic: bool = False) -> None:
    """Write a page of thumbnails.

    Parameters
    ----------
    path : Path
        The PNG to write.
    images : sequence of Path
    labels : sequence of str
        The class of each; classes are drawn in the order in which they come.
    synthetic : bool
        Say so above each class.
    """
    from PIL import Image, ImageDraw

    if not images:
        raise InvalidData("a contact sheet needs at least one image")
    font, line = typeface(), 22
    cell = THUMBNAIL + MARGIN
    members = {label: [i for i, one in enumerate(labels) if one == label] for label in dict.fromkeys(labels)}
    shown = {label: chosen(found) for label, found in members.items()}
    rows = sum(-(-len(found) // PER_ROW) for found in shown.values())
    columns = min(PER_ROW, max(max(map(len, shown.values())), 4))
    page = Image.new("RGB", (columns * cell + MARGIN, rows * cell + len(shown) * (line + MARGIN) + MARGIN), "#202020")
    draw, top = ImageDraw.Draw(page), MARGIN
    for label, found in shown.items():
        total = len(members[label])
        count = f"{total}" if total == len(found) else f"{len(found)} of {total}"
        draw.text((MARGIN, top), f"{label or 'images'} ({count}{', synthetic' * synthetic})", fill="white", font=font)
        top += line + MARGIN
        for place, index in enumerate(found):
            row, column = divmod(place, PER_ROW)
            with Image.open(images[index]) as image:
                image.thumbnail((THUMBNAIL, THUMBNAIL))
                page.paste(image.convert("RGB"), (MARGIN + column * cell, top + row * cell))
        top += -(-len(found) // PER_ROW) * cell
    page.save(path)


def chosen(indices: Sequence[int]) -> list[int]:
    """Return at most `PER_CLASS` indices, evenly spaced."""
    places = np.linspace(0, len(indices) - 1, min(len(indices), PER_CLASS)).round().astype(int)
    return [indices[place] for place in places]


def typeface() -> Any:
    """Return a font that knows more letters than Pillow's own; matplotlib brings it along."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 15)
