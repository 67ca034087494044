import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.telemetry.processes import Busy, Process, busiest, family, parse_process, read_processes
from agent.telemetry.procfs import TICKS_PER_S, ProcessTimes

Tree = Callable[[dict[str, str]], Path]


def process(name: str = "p", parent: int = 1, cpu_s: float = 0.0, start_ticks: int = 7) -> Process:
    return Process(name, parent, ProcessTimes(cpu_s, start_ticks))


def test_a_process_that_names_itself_like_a_line_of_its_own() -> None:
    rest = f"S 42 {' '.join(['0'] * 9)} 150 50 {' '.join(['0'] * 6)} 7 0\n"
    told = parse_process(f"9 (a) R 1 (b) {rest}")
    assert (told.name, told.parent) == ("a) R 1 (b", 42)
    assert told.times == ProcessTimes(200 / TICKS_PER_S, 7)


def test_what_is_not_a_line_of_a_process() -> None:
    with pytest.raises(ValueError, match="is not in its form"):
        parse_process("nothing")


def test_those_that_can_be_read(tree: Tree) -> None:
    line = f"(p) S 1 {' '.join(['0'] * 20)}\n"
    root = tree({"proc/9/stat": f"9 {line}", "proc/10/stat": f"10 {line}", "proc/11/stat": "", "proc/stat": "cpu"})
    assert read_processes(root).keys() == {9, 10}


def test_this_process_is_among_those_of_this_machine() -> None:
    found = read_processes()
    assert found[os.getpid()].parent == os.getppid()


def test_a_family_is_all_that_descends_from_one() -> None:
    processes = {1: process(parent=0), 5: process(), 6: process(parent=5), 7: process(parent=6), 8: process()}
    assert family(processes, 5) == {5, 6, 7}
    assert family(processes, 8) == {8}
    assert family(processes, 99) == set()


def test_the_busiest_first_by_name_and_without_our_own() -> None:
    before = {1: process("chrome", cpu_s=10), 2: process("chrome"), 3: process("agent"), 4: process("idle", cpu_s=5)}
    after = {
        1: process("chrome", cpu_s=10.5),
        2: process("chrome", cpu_s=0.25),
        3: process("agent", cpu_s=2),
        4: process("idle", cpu_s=5),
        5: process("make", cpu_s=2),
    }
    assert busiest(before, after, 2.0, {3}) == [Busy("make", 1.0), Busy("chrome", 0.375)]


def test_another_process_of_the_same_number_counts_from_its_start() -> None:
    before, after = {1: process("old", cpu_s=100)}, {1: process("new", cpu_s=0.5, start_ticks=8)}
    assert busiest(before, after, 1.0, ()) == [Busy("new", 0.5)]
