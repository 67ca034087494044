"""What is found before a bench, with its remedy."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import recorded

from agent import preflight
from agent.preflight import Settings, judge, look, other_load, read_settings, settings, throttled
from agent.telemetry import OtherLoad, open_sensors
from agent.telemetry.nvpmodel import PowerMode
from agent.telemetry.processes import Busy, Process
from agent.telemetry.procfs import MemoryInfo, ProcessTimes
from agent.tuning import Facts
from contract.tuning import Preflight, PreflightFinding

GIB = 1 << 30
LOW, HIGH = PowerMode(0, "15W", 612e6), PowerMode(2, "MAXN_SUPER")
TUNED = Facts(modes=(LOW, HIGH), mode="MAXN_SUPER", cpu_held=True, gpu_held=True)
A_PC = Facts(governor="performance", cpu_held=True, held_lowest=False)
GOVERNOR = ("echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",)
POLICY = "sys/devices/system/cpu/cpu0/cpufreq"
PROFILE = "sys/firmware/acpi/platform_profile"


def memory(swapped_out: int) -> MemoryInfo:
    return MemoryInfo(8 * GIB, 4 * GIB, 4 * GIB, 4 * GIB - swapped_out)


def found(facts: Facts = TUNED, on_battery: bool = False, swapped_out: int = 0) -> Preflight:
    return judge(Settings(facts, on_battery, memory(swapped_out)))


def by_flag(told: Preflight) -> dict[str, PreflightFinding]:
    return {finding.flag: finding for finding in told.findings}


# Of each recorded board: what `host tune --apply` would mend, with the commands.
EXPECTED: dict[str, dict[str, tuple[str, ...]]] = {
    "nano-jp46": {"clocks_not_fixed": ("sudo jetson_clocks --store /run/boardfit-clocks.conf", "sudo jetson_clocks")},
    "orin-nano-jp51": {
        "clocks_not_fixed": ("sudo jetson_clocks --store /run/boardfit-clocks.conf", "sudo jetson_clocks"),
        "power_mode": ("sudo nvpmodel -m 0",),
    },
    "orin-nano-jp62": {},
    "orin-nano-jp72": {
        "clocks_not_fixed": ("sudo jetson_clocks --store /run/boardfit-clocks.conf", "sudo jetson_clocks"),
        "power_mode": ("sudo nvpmodel -m 2",),
    },
}


@pytest.mark.parametrize("name", recorded.NAMES)
def test_what_is_found_on_a_recorded_board(name: str, tmp_path: Path) -> None:
    told = settings(recorded.build(name, tmp_path).root)
    assert {each.flag: each.commands for each in told.findings if each.applied} == EXPECTED[name]
    assert set(told.unmet) >= {"flags.on_battery"}  # nobody has published what such a board's class shows
    assert all(finding.now and finding.better for finding in told.findings)


def test_a_board_that_is_tuned_and_fed_has_nothing() -> None:
    assert found() == found(A_PC) == Preflight()


def test_clocks_that_follow_the_load_with_what_tuning_says_of_it() -> None:
    finding = by_flag(found(Facts(modes=(HIGH,), mode="MAXN_SUPER", cpu_held=True, gpu_held=False)))["clocks_not_fixed"]
    assert finding.now == "CPU: stands still, GPU: follows the load"
    assert (finding.commands, finding.applied) == (("sudo jetson_clocks",), True)
    finding = by_flag(found(Facts(governor="schedutil", cpu_held=False, held_lowest=False)))["clocks_not_fixed"]
    assert (finding.now, finding.commands, finding.applied) == ("schedutil", GOVERNOR, False)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (Facts(unmet={"cpu_held": "no cpufreq", "held_lowest": "no cpufreq"}), "no cpufreq"),
        (Facts(modes=(HIGH,), mode="MAXN_SUPER", cpu_held=True, unmet={"gpu_held": "no GPU"}), "no GPU"),
    ],
)
def test_clocks_of_which_it_is_not_known_are_not_judged(facts: Facts, why: str) -> None:
    told = found(facts)
    assert told.findings == ()
    assert told.unmet["flags.clocks_not_fixed"] == why


def test_a_mode_that_caps_the_clocks_and_ones_of_which_that_is_not_known() -> None:
    mode = by_flag(found(Facts(modes=(LOW, HIGH), mode="15W", cpu_held=True, gpu_held=True)))["power_mode"]
    assert (mode.now, mode.commands, mode.applied) == ("15W", ("sudo nvpmodel -m 2",), True)
    unread = found(Facts(modes=(LOW, HIGH), cpu_held=True, gpu_held=True, unmet={"mode": "no status"}))
    assert (unread.findings, unread.unmet) == ((), {"flags.power_mode": "no status"})
    alike = Facts(modes=(PowerMode(0, "A", 1e9), PowerMode(1, "B", 1e9)), mode="A", cpu_held=True, gpu_held=True)
    assert "no power mode stands out" in found(alike).unmet["flags.power_mode"]


@pytest.mark.parametrize(
    ("governor", "driver", "flags"),
    [
        ("powersave", "acpi-cpufreq", {"clocks_not_fixed", "power_mode"}),
        ("powersave", "intel_pstate", {"clocks_not_fixed"}),
        ("powersave", "amd-pstate-epp", {"clocks_not_fixed"}),
        ("schedutil", "acpi-cpufreq", {"clocks_not_fixed"}),
        ("performance", "intel_pstate", set()),
    ],
)
def test_powersave_is_the_lowest_clock_of_some_drivers_alone(
    tmp_path: Path, governor: str, driver: str, flags: set[str]
) -> None:
    write(
        tmp_path,
        {"scaling_governor": governor, "scaling_driver": driver, "scaling_min_freq": "1", "scaling_max_freq": "2"},
    )
    assert set(by_flag(settings(tmp_path))) == flags


@pytest.mark.parametrize(
    ("profile", "choices", "flags", "unjudged"),
    [
        ("balanced", "low-power balanced performance", {"power_mode"}, False),
        ("performance", "low-power balanced performance", set(), False),
        ("quiet", "quiet balanced", set(), False),
        ("custom", "low-power performance", set(), True),
    ],
)
def test_the_power_profile_of_a_laptop(
    tmp_path: Path, profile: str, choices: str, flags: set[str], unjudged: bool
) -> None:
    write(tmp_path, {"scaling_governor": "performance"})
    (tmp_path / PROFILE).parent.mkdir(parents=True)
    (tmp_path / PROFILE).write_text(f"{profile}\n")
    (tmp_path / f"{PROFILE}_choices").write_text(f"{choices}\n")
    told = settings(tmp_path)
    assert set(by_flag(told)) == flags
    assert ("flags.power_mode" in told.unmet) is unjudged
    if flags:
        assert by_flag(told)["power_mode"].commands == (f"echo performance | sudo tee /{PROFILE}",)


def write(root: Path, policy: dict[str, str]) -> None:
    (root / POLICY).mkdir(parents=True)
    for file, text in policy.items():
        (root / POLICY / file).write_text(f"{text}\n")


def test_a_battery() -> None:
    finding = by_flag(found(on_battery=True))["on_battery"]
    assert "charger" in finding.better
    unread = judge(Settings(TUNED, None, memory(0), {"on_battery": "no supplies"}))
    assert (unread.findings, unread.unmet) == ((), {"flags.on_battery": "no supplies"})


def test_swap_is_in_use_above_a_twentieth_of_the_memory() -> None:
    assert found(swapped_out=8 * GIB // 20).findings == ()
    finding = by_flag(found(swapped_out=8 * GIB // 20 + 4096))["swap_in_use"]
    assert finding.now == "410 MiB are swapped out, of a board with 8,192 MiB of memory"
    assert finding.commands == ("sudo swapoff -a", "sudo swapon -a")
    compressed = Facts(modes=(HIGH,), mode="MAXN_SUPER", cpu_held=True, gpu_held=True, zram=("/dev/zram0",))
    assert by_flag(found(compressed, swapped_out=GIB))["swap_in_use"].commands == (
        "sudo systemctl disable nvzramconfig",
    )


def test_what_cannot_be_read_has_its_reason(tmp_path: Path) -> None:
    told = settings(tmp_path)
    assert told.findings == ()
    assert told.unmet.keys() == {
        f"flags.{flag}" for flag in ("clocks_not_fixed", "power_mode", "on_battery", "swap_in_use")
    }
    assert "proc/meminfo" in told.unmet["flags.swap_in_use"]
    assert "power_supply" in told.unmet["flags.on_battery"]


def test_throttling_right_now() -> None:
    assert throttled((), "-") is None
    assert throttled(None, "no cooling device") == "no cooling device"
    finding = throttled(("gpu-throttle-alert", "cpufreq-cpu0"), "-")
    assert isinstance(finding, PreflightFinding)
    assert finding.now == "clocks are held down by gpu-throttle-alert, cpufreq-cpu0"


def test_others_are_named_above_a_tenth_of_a_core() -> None:
    busy = [Busy("chrome", 0.5), Busy("make", 0.25), Busy("sshd", 0.02), Busy("cron", 0.02), Busy("x", 0.01)]
    assert other_load(OtherLoad(0.1), busy) is None
    assert other_load(OtherLoad(None, "too short"), busy) == "too short"
    finding = other_load(OtherLoad(0.8), busy)
    assert isinstance(finding, PreflightFinding)
    assert finding.now == "others use 0.80 cores: chrome 0.50, make 0.25, sshd 0.02"
    hidden = other_load(OtherLoad(0.8), [])
    assert isinstance(hidden, PreflightFinding)
    assert hidden.now.endswith("no process that could be seen")


BURN = "open('/proc/self/comm', 'w').write({name!r})\nprint(os.getpid(), flush=True)\nwhile True: pass"
"""Under a name of its own, which the kernel keeps to 15 characters."""


@pytest.fixture
def stranger() -> Iterator[None]:
    """A process that is no child of this one's, and burns CPU: init has adopted it."""
    code = f"import os\nif os.fork(): os._exit(0)\n{BURN.format(name='a-stranger')}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
    yield
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def worker() -> Iterator[None]:
    """A child of this process that burns CPU, as a worker of the agent does."""
    code = f"import os\n{BURN.format(name='our-worker')}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        child.stdout.readline()
        yield
        child.kill()


@pytest.mark.usefixtures("stranger", "worker")
def test_who_else_uses_this_machine() -> None:
    """And none of those that the agent has started itself."""
    _, busy = preflight._watch(Path("/"), 0.5)
    names = [each.name for each in busy]
    assert "a-stranger" in names
    assert "our-worker" not in names


def test_a_process_that_keeps_a_core_busy_is_told_as_one_core(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However long it takes to read them all: here as long as the window itself."""
    now_s = [1000.0]

    def read(_root: Path) -> dict[int, Process]:
        now_s[0] += 0.5
        return {7: Process("busy", 1, ProcessTimes(cpu_s=now_s[0], start_ticks=1))}

    def sleep(seconds: float) -> None:
        now_s[0] += seconds

    monkeypatch.setattr(preflight, "time", SimpleNamespace(monotonic=lambda: now_s[0], sleep=sleep))
    monkeypatch.setattr(preflight, "read_processes", read)
    _, busy = preflight._watch(tmp_path, 0.5)
    assert busy == [Busy("busy", pytest.approx(1.0))]


@pytest.mark.usefixtures("stranger")
def test_a_busy_machine_is_told_as_such() -> None:
    assert "other_load" in by_flag(look(open_sensors(("procfs", "thermal"))))


def test_all_of_it_at_once(tmp_path: Path) -> None:
    root = recorded.build("orin-nano-jp72", tmp_path).root
    told = look(open_sensors(("procfs", "jetson", "thermal"), root), root, window_s=0)
    assert {"clocks_not_fixed", "power_mode", "throttled"} <= by_flag(told).keys()
    assert "flags.other_load" in told.unmet
    assert read_settings(root).facts.mode == "25W"
