"""The interval of a mean from within one run of the bench: batch means.

Latencies of runs one after the other are correlated, so n runs say less than n independent ones, and a bootstrap of
single runs takes them for independent: its 95 % interval covered 14 to 73 % of simulated correlated runs. The means of
ten long batches are close to independent and to normal, whatever the runs are: Student's t with 9 degrees of freedom.
Sources: Schmeiser, "Batch size effects in the analysis of simulation output", Oper. Res. 30 (1982), where more than 30
batches gain little and 10 lose little; Law & Kelton, "Confidence intervals for steady-state simulations", Oper. Res. 32
(1984).
"""

import math

import numpy as np

from host.statistics.samples import Floats
from host.statistics.student import t_quantile

BATCHES = 10
CONFIDENCE = 0.95


def batch_means(values: Floats) -> Floats:
    """Of BATCHES batches of equal length, (10,); the first few values, which are nearest to a warm-up, are in none."""
    length = len(values) // BATCHES
    return np.asarray(np.mean(values[len(values) - BATCHES * length :].reshape(BATCHES, length), axis=1))


def half_width(values: Floats, count: int) -> float:
    """Half the 95 % interval of the mean of `count` runs that are as these are, in the unit of the values."""
    length = len(values) // BATCHES
    spread = float(np.std(batch_means(values), ddof=1))
    return t_quantile(BATCHES - 1, CONFIDENCE) * spread * math.sqrt(length / count)
