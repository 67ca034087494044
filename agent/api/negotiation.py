"""Which form a reply of /infer takes, by Content-Type and Accept, before anything is run (RFC 9110, 12)."""

import re

from agent.api.tensors import JSON, NPY, RAW
from agent.errors import NotAcceptableError, UnsupportedMediaError
from contract.manifest import Manifest

PNG = "image/png"
IMAGES = (PNG, "image/jpeg")
TENSORS = (RAW, NPY, JSON)
VERDICT = "verdict"
_ANY = ("", "*/*")
_QUALITY = re.compile(r"\s*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)


def reply_form(media_type: str, accept: str, manifest: Manifest) -> str:
    """VERDICT, PNG (the anomaly map), or tensors as RAW, NPY or JSON. UnsupportedMediaError, NotAcceptableError."""
    if media_type not in IMAGES and media_type not in TENSORS:
        raise UnsupportedMediaError(
            f"the Content-Type {media_type!r} is not read here", f"send one of {', '.join((*IMAGES, *TENSORS))}"
        )
    impossible = _impossible(manifest)
    default = JSON if manifest.score or media_type in IMAGES or media_type in impossible else media_type
    chosen = default if accept in _ANY else _chosen(accept, default, impossible)
    return VERDICT if chosen == JSON and manifest.score and media_type != JSON else chosen


def _impossible(manifest: Manifest) -> dict[str, str]:
    """The forms that a model's outputs do not fit in, and why."""
    forms = {}
    if manifest.score is None:
        forms[PNG] = "this model has no score, so there is no anomaly map"
    if len(manifest.signature.outputs) != 1:
        forms[NPY] = f"the model has {len(manifest.signature.outputs)} outputs, a .npy file holds one"
    return forms


def _chosen(accept: str, default: str, impossible: dict[str, str]) -> str:
    """The form the client likes best; among equals one that it names, in its order, then the default."""
    ranges = _ranges(accept)
    possible = [form for form in (default, *TENSORS, PNG) if form not in impossible]
    best = max(possible, key=lambda form: _liking(form, ranges))
    if _liking(best, ranges)[0] > 0:
        return best
    reasons = [reason for form, reason in impossible.items() if form in ranges]
    raise NotAcceptableError(
        reasons[0] if reasons else f"none of {accept!r:.200} is written here",
        f"accept one of {', '.join(dict.fromkeys(possible))}",
    )


def _ranges(accept: str) -> dict[str, float]:
    """Media ranges with their quality, in the client's order; a parameter that is no quality is passed over."""
    ranges = {}
    for part in accept.split(","):
        media, *parameters = part.split(";")
        qualities = [float(found[1]) for parameter in parameters if (found := _QUALITY.fullmatch(parameter))]
        ranges[media.strip().lower()] = qualities[0] if qualities else 1.0
    return ranges


def _liking(form: str, ranges: dict[str, float]) -> tuple[float, bool, int]:
    """Quality by the most specific range, whether that names the form, and how early."""
    for media in (form, f"{form.partition('/')[0]}/*", "*/*"):
        if media in ranges:
            named = media == form
            return ranges[media], named, -list(ranges).index(media) if named else 0
    return 0.0, False, 0
