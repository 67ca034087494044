import platform
from collections.abc import Callable
from pathlib import Path

import pytest
import recorded

from agent.telemetry import describe
from agent.telemetry.environment import parse_cpu_name, parse_os_release
from contract.profile import Profile, read_profile
from contract.results import Conditions
from contract.version import __version__

Tree = Callable[[dict[str, str]], Path]

# A Debian 12 virtual machine and, published by its owner, a Jetson TX2 with L4T 32; both cut to two CPUs.
X86 = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 17\nmodel name\t: AMD EPYC\ncpu MHz\t\t: 2596.140\n\n" * 2
L4T = "processor\t: 0\nmodel name\t: ARMv8 Processor rev 3 (v8l)\nCPU implementer\t: 0x41\nCPU part\t: 0xd07\n\n" * 2
# Mainline kernels on ARM name no model; a big.LITTLE chip has two parts, and the first CPU's is told.
ARM = (
    "processor\t: 0\nBogoMIPS\t: 125.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n\n"
    "processor\t: 4\nBogoMIPS\t: 125.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd07\n"
)
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n'


@pytest.fixture(scope="module")
def profile() -> Profile:
    return read_profile("desktop")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (DEBIAN, "Debian GNU/Linux 12 (bookworm)"),
        ("NAME=x\nPRETTY_NAME='Mendel GNU/Linux 5 (Eagle)'\n", "Mendel GNU/Linux 5 (Eagle)"),
        ("PRETTY_NAME=Alpine\n", "Alpine"),
        ('PRETTY_NAME="a \\"b\\" \\$c"\n', 'a "b" $c'),
        ("NAME=x\nFAKE_PRETTY_NAME=y\n", "Linux"),
    ],
)
def test_os_release(text: str, name: str) -> None:
    assert parse_os_release(text) == name


@pytest.mark.parametrize(("text", "name"), [(X86, "AMD EPYC"), (ARM, "ARM implementer 0x41 part 0xd03")])
def test_cpu_name(text: str, name: str) -> None:
    assert parse_cpu_name(text) == name


def test_a_desktop(tree: Tree, profile: Profile, meminfo: str) -> None:
    root = tree({"etc/os-release": DEBIAN, "proc/cpuinfo": X86, "proc/meminfo": meminfo})
    board = describe(profile, root)
    assert (board.profile, board.os_image, board.cpu) == ("desktop", "Debian GNU/Linux 12 (bookworm)", "AMD EPYC")
    assert board.memory_total_bytes == 24684096 * 1024
    assert board.unmet == {}


def test_a_jetson_is_named_by_its_device_tree(tree: Tree, profile: Profile, meminfo: str) -> None:
    model = "NVIDIA Jetson Nano Developer Kit\0"
    root = tree(
        {
            "usr/lib/os-release": 'PRETTY_NAME="Ubuntu 18.04.6 LTS"\n',
            "sys/firmware/devicetree/base/model": model,
            "proc/cpuinfo": L4T,
            "proc/meminfo": meminfo,
        }
    )
    board = describe(profile, root)
    assert (board.cpu, board.os_image) == ("NVIDIA Jetson Nano Developer Kit", "Ubuntu 18.04.6 LTS")


# The same Ubuntu comes with several releases of L4T, and an engine is good for one.
IMAGES = {
    "nano-jp46": "Ubuntu 18.04.6 LTS, L4T R32.7.6 (JetPack 4.6.6)",
    "orin-nano-jp51": "Ubuntu 20.04.6 LTS, L4T R35.4.1 (JetPack 5.1.2)",
    "orin-nano-jp62": "Ubuntu 22.04.5 LTS, L4T R36.4.4 (JetPack 6.2.1)",
    "orin-nano-jp72": "Ubuntu 24.04.3 LTS, L4T R39.2.1 (JetPack 7.2.1)",
}


@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_image_of_a_jetson_names_its_l4t(name: str, tmp_path: Path, profile: Profile) -> None:
    board = describe(profile, recorded.build(name, tmp_path).root)
    assert board.os_image == IMAGES[name]
    assert "Nano" in board.cpu
    assert "os_image" not in board.unmet


def test_a_release_that_cannot_be_read_leaves_the_image(tree: Tree, profile: Profile) -> None:
    board = describe(profile, tree({"etc/os-release": DEBIAN, "etc/nv_tegra_release": "# RELEASE\n"}))
    assert board.os_image == "Debian GNU/Linux 12 (bookworm)"
    assert "does not begin with a release" in board.unmet["os_image"]


def test_what_cannot_be_read_has_its_reason(tree: Tree, profile: Profile) -> None:
    board = describe(profile, tree({"proc/cpuinfo": "processor\t: 0\n"}))
    assert (board.os_image, board.cpu) == (platform.system(), platform.machine())
    assert board.memory_total_bytes is None
    assert board.unmet.keys() == {"os_image", "cpu", "memory_total_bytes"}


def test_this_machine_in_a_row(profile: Profile) -> None:
    still = Conditions(power_mode=None, temperatures_c={}, clocks_mhz={}, swap_used_bytes=0)
    board = describe(profile)
    environment = board.environment(
        python="3.8.10",
        runtime="ort",
        runtime_version="1.21.0",
        runtime_options={"threads": 2},
        runtime_details={"providers": "CPU"},
        before=still,
        after=None,
    )
    assert environment.machine == platform.machine()
    assert environment.kernel == platform.release()
    assert environment.cpu_count >= 1
    assert environment.memory_total_bytes
    assert environment.os_image
    assert environment.cpu
    assert (environment.agent_version, environment.python, environment.after) == (__version__, "3.8.10", None)
    assert (environment.runtime_options, environment.runtime_details) == ({"threads": 2}, {"providers": "CPU"})
