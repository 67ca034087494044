"""The command line: parse, call one function, render, map an error to an exit code. No logic.

group.py      the group of commands, and how it ends          options.py    flags that commands share
boards.py     boards: list, add, remove, stop                 models.py     deploy convert models rollback remove
serving.py    infer, stats                                    measuring.py  bench, profile, results
dataset.py    dataset capsule                                 training.py   train, compress
evaluating.py evaluate                                        reproducing.py reproduce
verifying.py  verify                                          tuning.py     tune
example.py    example                                         inspecting.py inspect
output.py     what goes to stdout, and trouble to stderr
"""

from host.cli.group import main

__all__ = ["main"]
