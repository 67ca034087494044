"""Vega, Vega-Lite and vega-embed as one script, which the page has inside: vega.js.gz beside this file.

It is what vl-convert bundles, kept here because bundling takes it 2.7 s each time, and a report has 3 s. Their licences
are in vega-licences.txt. Made anew, and compared by a test, with ``python -m host.report.html.vega``.
"""

import gzip
from pathlib import Path

FILE = Path(__file__).with_name("vega.js.gz")
MADE_BY = "1.9.0.post1"
"""The version of vl-convert-python: Vega 6.2.0, Vega-Lite 6.4, vega-embed 7.0.2."""


def script() -> str:
    """What goes between <script> and </script>: it defines `vegaEmbed`."""
    return gzip.decompress(FILE.read_bytes()).decode("utf-8")


def bundled() -> str:
    """The same, made by the vl-convert that is installed."""
    import vl_convert

    made = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # the snippet is optional, whatever the stub says
    if "</script" in made.lower() or "<!--" in made:
        raise ValueError("the script would end the element that it stands in")
    return made


def compressed(text: str) -> bytes:
    """Equal for equal text: without a time."""
    return gzip.compress(text.encode("utf-8"), 9, mtime=0)


if __name__ == "__main__":
    FILE.write_bytes(compressed(bundled()))
