"""What all that is counted here starts from: the samples of one bench."""

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int64]
"""Nanoseconds of the counted runs, (n,), in the order they ran: the caller has taken the first run away."""

Floats = npt.NDArray[np.float64]

NS_PER_MS = 1e6


def check(samples_ns: Samples) -> None:
    """ValueError for what are no samples: that is a bug."""
    if samples_ns.ndim != 1 or samples_ns.dtype != np.int64 or not len(samples_ns):
        raise ValueError(f"samples are int64 of shape (n,), n >= 1; got {samples_ns.dtype} {samples_ns.shape}")
