"""From samples to the figures of a row, and from rows to what may be said of them. Pure: numpy.

Of one run of the bench:
  samples.py      what a sample is                        latency.py    mean, percentiles as far as the sample supports
  warm_up.py      the change point after which it is steady
  stability.py    drift, and modes that last: no interval is honest then
  batch_means.py  the interval of the mean                within_run.py the three together
Of several:
  trials.py       the interval over trials, the speed-up of one thing over another
And for both:
  student.py      the quantile of Student's t

Each method is measured on runs whose truth is known: benchmarks/honest_intervals.py. Of AUC: inspection/accuracy.py and
accuracy_difference.py.
"""

from host.statistics.latency import runs_needed, summarise
from host.statistics.samples import Samples
from host.statistics.student import t_quantile
from host.statistics.trials import Estimate, Trials, speed_up, speed_up_unpaired, trial_interval
from host.statistics.within_run import INTERVAL_RUNS, STEADY_RUNS, WithinRun, steady_state, within_run

__all__ = [
    "INTERVAL_RUNS",
    "STEADY_RUNS",
    "Estimate",
    "Samples",
    "Trials",
    "WithinRun",
    "runs_needed",
    "speed_up",
    "speed_up_unpaired",
    "steady_state",
    "summarise",
    "t_quantile",
    "trial_interval",
    "within_run",
]
