"""How boards are set, and what is advised."""

from pathlib import Path

import pytest
import recorded

from agent import tuning
from agent.as_root import Command
from agent.telemetry import jetson
from agent.telemetry.nvpmodel import PowerMode
from agent.tuning import Facts, Finding, advice, look, read_facts

STORE = "sudo jetson_clocks --store /run/boardfit-clocks.conf"
PIN = "sudo jetson_clocks"
NO_DESKTOP = "sudo systemctl set-default multi-user.target"
NO_ZRAM = "sudo systemctl disable nvzramconfig"

LOW, HIGH = PowerMode(0, "15W", 612e6), PowerMode(2, "MAXN_SUPER")
TUNED = Facts(modes=(LOW, HIGH), mode="MAXN_SUPER", cpu_held=True, gpu_held=True, governor="schedutil")


def by_key(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.key: finding for finding in findings}


# Of each recorded board: what is not as it should be, with the commands, in order.
ADVICE = {
    "nano-jp46": {"clocks": (STORE, PIN), "desktop": (NO_DESKTOP,), "swap": (NO_ZRAM,)},
    "orin-nano-jp51": {"power_mode": ("sudo nvpmodel -m 0",), "clocks": (STORE, PIN)},
    "orin-nano-jp62": {},
    "orin-nano-jp72": {"power_mode": ("sudo nvpmodel -m 2",), "clocks": (STORE, PIN), "desktop": (NO_DESKTOP,)},
}


@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_advice_for_a_recorded_board(name: str, tmp_path: Path) -> None:
    tuned = look(recorded.build(name, tmp_path).root)
    assert [finding.key for finding in tuned.findings] == ["power_mode", "clocks", "desktop", "swap"]
    assert {each.key: each.commands for each in tuned.findings if each.good is False} == ADVICE[name]
    assert all(each.good is True and not each.better for each in tuned.findings if each.key not in ADVICE[name])
    applied = {each.key for each in tuned.findings if each.applied}
    assert applied == {"power_mode", "clocks"} & ADVICE[name].keys()
    assert tuned.steps == ()


def test_how_a_recorded_board_is_set(tmp_path: Path) -> None:
    facts = read_facts(recorded.build("nano-jp46", tmp_path).root)
    assert ([mode.name for mode in facts.modes], facts.mode) == (["MAXN", "5W"], "MAXN")
    assert (facts.cpu_held, facts.gpu_held, facts.governor) == (False, False, "schedutil")
    assert facts.zram == ("/dev/zram0", "/dev/zram1")
    assert facts.desktop is True
    assert facts.unmet == {}


def test_no_rail_is_read_to_know_how_a_board_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at right before each trial: rails hang on a slow bus."""
    monkeypatch.setattr(jetson, "read_rails", lambda _root: pytest.fail("a rail was read"))
    assert read_facts(recorded.build("nano-jp46", tmp_path).root).mode == "MAXN"


def test_this_machine_can_be_looked_at() -> None:
    assert all(finding.now for finding in look().findings)


def test_a_board_that_is_tuned_has_nothing_to_do() -> None:
    assert all(finding.good and not finding.run and not finding.tell for finding in advice(TUNED))


def test_the_mode_is_told_by_name_and_set_by_its_id_on_this_board() -> None:
    for number in (0, 7):
        facts = Facts(modes=(PowerMode(3, "25W", 918e6), PowerMode(number, "MAXN_SUPER")), mode="25W")
        mode = by_key(advice(facts))["power_mode"]
        assert (mode.now, mode.good) == ("25W", False)
        assert mode.better is not None
        assert mode.better.startswith("MAXN_SUPER")
        assert mode.run == (Command(("nvpmodel", "-m", str(number)), answer="NO\n"),)


def test_a_mode_that_is_not_known_is_set() -> None:
    mode = by_key(advice(Facts(modes=(LOW, HIGH))))["power_mode"]
    assert (mode.now, mode.good) == ("not known", False)
    assert mode.run


def test_of_modes_none_of_which_stands_out_none_is_set() -> None:
    mode = by_key(advice(Facts(modes=(PowerMode(0, "A", 1e9), PowerMode(1, "B", 1e9)), mode="A")))["power_mode"]
    assert (mode.now, mode.good, mode.better, mode.run) == ("A", None, None, ())


@pytest.mark.parametrize(
    ("cpu", "gpu", "now"),
    [
        (True, False, "CPU: stands still, GPU: follows the load"),
        (False, True, "CPU: follows the load, GPU: stands still"),
        (None, True, "CPU: not known (no cpufreq), GPU: stands still"),
        (True, None, "CPU: stands still, GPU: not known (no GPU: boot again)"),
    ],
)
def test_both_clocks_have_to_stand_still(cpu: bool | None, gpu: bool | None, now: str) -> None:
    unmet = {"cpu_held": "no cpufreq", "gpu_held": "no GPU: boot again"}
    clocks = by_key(advice(Facts(modes=(HIGH,), mode="MAXN_SUPER", cpu_held=cpu, gpu_held=gpu, unmet=unmet)))["clocks"]
    # Where one of the two is held, storing them would lose the way back.
    assert (clocks.now, clocks.good, clocks.run) == (now, False, tuning.CLOCKS[1 if cpu or gpu else 0 :])


def test_a_change_of_the_mode_lets_go_of_the_clocks() -> None:
    found = by_key(advice(Facts(modes=(LOW, HIGH), mode="15W", cpu_held=True, gpu_held=True)))
    assert found["power_mode"].run
    assert found["clocks"].run == tuning.CLOCKS


def test_a_compressed_swap_and_a_desktop_are_for_the_owner() -> None:
    found = by_key(advice(Facts(modes=(HIGH,), mode="MAXN_SUPER", zram=("/dev/zram0",), desktop=True)))
    assert (found["swap"].now, found["swap"].tell) == ("in compressed memory: /dev/zram0", (NO_ZRAM,))
    assert found["desktop"].tell == (NO_DESKTOP,)
    assert (found["swap"].run, found["desktop"].run) == ((), ())


@pytest.mark.parametrize(
    ("facts", "now", "good"),
    [
        (Facts(governor="performance", cpu_held=True), "performance", True),
        (Facts(governor="powersave", cpu_held=False), "powersave", False),
        (Facts(governor="schedutil", cpu_held=True), "schedutil", True),  # by equal limits
        (Facts(unmet={"cpu_held": "no cpufreq"}), "not known (no cpufreq)", None),
    ],
)
def test_of_a_board_without_power_modes_the_governor_is_judged(facts: Facts, now: str, good: bool | None) -> None:
    (governor,) = advice(facts)
    assert (governor.key, governor.now, governor.good, governor.run) == ("governor", now, good, ())
    assert bool(governor.tell) == (good is False)


@pytest.mark.parametrize(
    ("profile", "good"), [("performance", True), ("balanced", False), ("custom", None), (None, None)]
)
def test_the_power_profile_of_a_pc_is_for_its_owner(profile: str | None, good: bool | None) -> None:
    facts = Facts(profile=profile, profiles=("low-power", "balanced", "performance"), unmet={"profile": "unreadable"})
    finding = by_key(advice(facts))["profile"]
    assert (finding.now, finding.good) == (profile or "not known (unreadable)", good)
    tell = ("echo performance | sudo tee /sys/firmware/acpi/platform_profile",)
    assert finding.tell == (tell if good is False else ())
    assert not finding.run


def test_a_firmware_without_a_profile_of_most_performance_is_not_judged() -> None:
    assert "profile" not in by_key(advice(Facts(profile="quiet", profiles=("quiet", "balanced"))))
    assert "profile" not in by_key(advice(Facts(modes=(HIGH,), mode="MAXN_SUPER")))


@pytest.mark.parametrize(
    ("links", "desktop"),
    [
        ({}, False),
        ({"etc/systemd/system/default.target": "/lib/systemd/system/graphical.target"}, True),
        ({"lib/systemd/system/default.target": "graphical.target"}, True),
        ({"usr/lib/systemd/system/default.target": "multi-user.target"}, False),
        # systemd(1): what is in /etc goes before what is in /usr/lib
        (
            {
                "etc/systemd/system/default.target": "/lib/systemd/system/multi-user.target",
                "usr/lib/systemd/system/default.target": "graphical.target",
            },
            False,
        ),
    ],
)
def test_whether_it_boots_into_a_desktop(tmp_path: Path, links: dict[str, str], desktop: bool) -> None:
    for path, target in links.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).symlink_to(target)
    assert read_facts(tmp_path).desktop is desktop
