"""The picture of the README: photographs of the demo, and the anomaly maps a deployed model makes of them.

    python -m benchmarks.picture build/demo maps benchmarks/results/demo.png

`maps` is what `host infer --maps` wrote.
"""

import sys
from pathlib import Path

from PIL import Image

SHOWN = ("good/000.png", "defective/002_scratch.png", "defective/000_crack.png")
GAP = 12


def main(images: Path, maps: Path, picture: Path) -> None:
    pairs = [
        (Image.open(images / name).convert("RGB"), Image.open(maps / Path(name).name).convert("RGB")) for name in SHOWN
    ]
    width, height = pairs[0][0].size
    sheet = Image.new("RGB", (len(pairs) * (width + GAP) - GAP, 2 * height + GAP), "white")
    for column, pair in enumerate(pairs):
        for row, image in enumerate(pair):
            sheet.paste(image, (column * (width + GAP), row * (height + GAP)))
    sheet.save(picture, optimize=True)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
