"""The picture of the README: photographs of the demo, and the anomaly maps that both its models make of them.

    python -m benchmarks.picture build/demo maps maps-95 benchmarks/results/demo.png

The two folders of maps are what `host infer --maps` wrote with the model and with its compressed form.
"""

import sys
from pathlib import Path

from PIL import Image

SHOWN = ("good/000.png", "defective/003_scratch.png", "defective/000_crack.png", "defective/004_squeeze.png")
SIDE, GAP = 224, 10


def main(images: Path, whole: Path, compressed: Path, picture: Path) -> None:
    rows = [
        [images / name for name in SHOWN],
        *([maps / Path(name).name for name in SHOWN] for maps in (whole, compressed)),
    ]
    sheet = Image.new("RGB", (len(SHOWN) * (SIDE + GAP) - GAP, len(rows) * (SIDE + GAP) - GAP), "white")
    for row, paths in enumerate(rows):
        for column, path in enumerate(paths):
            with Image.open(path) as image:
                scaled = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            sheet.paste(scaled, (column * (SIDE + GAP), row * (SIDE + GAP)))
    sheet.quantize(256).save(picture, optimize=True)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:5]))
