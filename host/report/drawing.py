"""What every picture is drawn with.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which colour-blind eyes tell apart; line styles
differ as well, for print. Matplotlib's figures are used without pyplot, whose state is the process's.
"""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLACK, BLUE, VERMILLION, ORANGE, GREEN, SKY = "#000000", "#0072B2", "#D55E00", "#E69F00", "#009E73", "#56B4E9"
_DPI = 120


def png(figure: "Figure") -> bytes:
    """The file of a figure."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    return file.getvalue()
