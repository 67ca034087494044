"""Side-by-side measurements: each script compares with another tool in one run and prints its own verdict.

    python -m benchmarks             all of them, in turn
    python -m benchmarks.fidelity    one of them

Machines are noisy: what is quoted is the median of ratios taken pair by pair, never a lone time. The results of a run
are in results/, with the command and the machine.
"""
