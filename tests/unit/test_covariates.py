"""What happened beside a turn, from files of the formats that Linux writes, each with an excess
planted; and the limits on it.
"""

import os
import sys
import types

import psutil
import pytest

from harness.engine import disturbance, energy
from harness.experiments.bench import limits
from harness.job import accelerators
from harness.job.machine import describe_host
from harness.records.bench import Limits, Turn

PID = 4242
STAT = """cpu  {user} 10 190317 926796 6838 4 922 {steal} 0 0
cpu0 {user} 10 190 5465 10 4 9 {steal} 7 7
cpu1 100 0 0 3804 57 0 0 50 0 0
cpu2 99999 0 0 3804 57 0 0 99999 0 0
intr 12345 0 9
ctxt 1990473
btime 1062191376
"""
CLEAN = {
    "seconds": 0.9,
    "feed_s": 0.1,
    "loss": 0.3,
    "accuracy": 0.9,
    "n_compiles": 0,
    "user_s": 1.5,
    "system_s": 0.1,
    "n_involuntary": 3,
    "around_s": 1.0,
    "parent_s": 0.001,
    "others_s": 0.19,
    "steal_s": 0.09,
    "throttled_s": 0.049,
    "pressure_s": 0.7,
    "load_1m": 2.0,
    "clock_s": 0.0001,
    "n_cores": 2,
    "energy_j": None,
}
OWN = {"seconds": 0.9, "feed_s": 0.1, "user_s": 0.5, "system_s": 0.25}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of two cores without a GPU, whose files lie in a folder, whose clocks stand still,
    and whose parent is idle.
    """
    clocks = dict.fromkeys(("CLOCK_MONOTONIC", "CLOCK_BOOTTIME", "CLOCK_REALTIME"), 100.0)
    fake = types.SimpleNamespace(
        **{name: name for name in clocks}, clock_gettime=clocks.get, process_time=lambda: 3.0
    )
    monkeypatch.setattr(disturbance, "time", fake)
    monkeypatch.setattr(energy, "_open", lambda: (None, None, []))
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "proc"))
    monkeypatch.setattr(os, "getloadavg", lambda: (0.5, 0.4, 0.3))
    allowed = {0, 1}
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(allowed), raising=False)
    folder = types.SimpleNamespace(
        proc=tmp_path / "proc", sys=tmp_path / "sys", clocks=clocks, allowed=allowed, parent=fake
    )
    write(folder.proc / "stat", STAT.format(user=1000, steal=20))
    write(folder.sys / "devices/system/cpu/online", "0-1,4\n")
    return folder


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def turn_on(machine, during, seconds=1.0, own=OWN):
    start = disturbance.read_counters(PID, machine.proc, machine.sys)
    for name in machine.clocks:
        machine.clocks[name] += seconds
    during()
    return disturbance.changes_since(start, own)


def nothing():
    pass


def test_cpu_seconds_of_others_are_those_of_the_worker_s_cores_less_its_own_and_the_parent_s(
    machine,
):
    def during():
        machine.parent.process_time = lambda: 3.05
        write(
            machine.proc / "stat",
            STAT.format(user=1100, steal=27).replace("cpu2 99999", "cpu2 999999"),
        )

    beside = turn_on(machine, during)
    assert beside["others_s"] == pytest.approx(1.0 - 0.75 - 0.05)
    assert beside["parent_s"] == pytest.approx(0.05)
    assert beside["steal_s"] == pytest.approx(0.07)
    assert beside["load_1m"] == 0.5


@pytest.mark.parametrize("column", [1, 2, 3, 6, 7])
def test_every_kind_of_busy_tick_counts_and_no_idle_one(machine, column):
    def during():
        lines = STAT.format(user=1000, steal=20).splitlines()
        fields = lines[1].split()
        fields[column] = str(int(fields[column]) + 150)
        fields[4], fields[5], fields[9] = (
            "9999",
            "9999",
            "9999",
        )  # idle, waiting for a disk, a guest's (inside user)
        write(machine.proc / "stat", "\n".join([lines[0], " ".join(fields), *lines[2:]]))

    assert turn_on(machine, during)["others_s"] == pytest.approx(1.5 - 0.75)


def test_ticks_that_round_below_the_worker_s_own_seconds_are_no_negative_time(machine):
    def during():
        write(machine.proc / "stat", STAT.format(user=1074, steal=20))

    assert turn_on(machine, during)["others_s"] == 0.0


@pytest.mark.parametrize("ticks", [0, 30])
def test_where_the_count_misses_the_worker_s_own_seconds_it_says_nothing_of_others(machine, ticks):
    def during():
        write(machine.proc / "stat", STAT.format(user=1000 + ticks, steal=20))

    assert turn_on(machine, during)["others_s"] is None


def test_a_system_that_counts_no_core_by_itself_says_nothing_of_others(machine):
    write(machine.proc / "stat", "cpu  0 0 0 0 0 0 0 0 0 0\n")
    assert turn_on(machine, nothing)["others_s"] is None


def test_children_s_seconds_are_the_worker_s_own_whether_they_ended_or_live(machine, monkeypatch):
    living = iter([40.0, 40.5])  # that one of them ended, with 30 s before this turn, is in own
    monkeypatch.setattr(disturbance, "_children_s", lambda pid: next(living))

    def during():
        write(machine.proc / "stat", STAT.format(user=1300, steal=20))

    beside = turn_on(machine, during, own=OWN | {"children_s": 0.75})
    assert beside["children_s"] == pytest.approx(1.25)
    assert beside["others_s"] == pytest.approx(3.0 - 0.75 - 1.25)


NONSENSE = ("", "nonsense", "some", "some total=", "-", "0-x", "1 2 3", "::", "2:cpu:/a", "\0\xff")


@pytest.mark.parametrize("text", NONSENSE)
def test_a_file_of_the_system_that_makes_no_sense_costs_no_turn(machine, text):
    files = (
        "proc/stat",
        "proc/pressure/cpu",
        f"proc/{PID}/cgroup",
        "sys/devices/system/cpu/online",
        "sys/fs/cgroup/cpu.stat",
        "sys/class/powercap/intel-rapl:0/energy_uj",
    )
    rapl(machine, "intel-rapl:0", "package-0", 1000)
    for name in files:
        file = machine.proc.parent / name
        before = file.read_text() if file.exists() else None
        write(file, text)
        assert Turn(**CLEAN | turn_on(machine, nothing))
        file.unlink() if before is None else write(file, before)
    for name in files:
        write(machine.proc.parent / name, text)
    assert Turn(**CLEAN | turn_on(machine, nothing)).n_cores == 2


def test_a_load_average_that_cannot_be_read_is_unknown(monkeypatch):
    def unreadable():
        raise OSError("Load averages are unobtainable")

    monkeypatch.setattr(os, "getloadavg", unreadable)
    assert (
        Turn(
            **CLEAN | disturbance.changes_since(disturbance.read_counters(os.getpid()), OWN)
        ).load_1m
        is None
    )
    assert describe_host().load_1m is None


def test_what_the_system_does_not_say_is_none_and_never_a_zero(machine):
    (machine.proc / "stat").unlink()
    beside = turn_on(machine, nothing)
    assert [
        beside[name] for name in ("others_s", "steal_s", "throttled_s", "pressure_s", "energy_j")
    ] == [None] * 5
    assert limits.invalid_reason(Turn(**CLEAN | beside), Limits(), 2) == ""


def test_pressure_is_the_rise_of_the_total_of_some(machine):
    lines = (
        "some avg10=0.00 avg60=0.12 avg300=0.22 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
        "total=0\n"
    )
    write(machine.proc / "pressure/cpu", lines.format(1987201813))
    beside = turn_on(
        machine, lambda: write(machine.proc / "pressure/cpu", lines.format(1987201813 + 250000))
    )
    assert beside["pressure_s"] == pytest.approx(0.25)


V1 = "nr_periods 12\nnr_throttled 3\nthrottled_time {}\nnr_bursts 0\nburst_time 0\n"
V2 = "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 12\nnr_throttled 3\nthrottled_usec {}\n"
GROUPS = {
    "version 1": (
        "9:name=systemd:/x\n3:cpuset:/x\n2:cpu,cpuacct:/docker/ab\n",
        "cpu,cpuacct/docker/ab",
        V1,
        1e9,
    ),
    "version 1, cpu alone": ("2:cpuacct:/y\n1:cpu:/\n0::/\n", "cpu", V1, 1e9),
    "version 1 in a container": ("2:cpu,cpuacct:/docker/ab\n", "cpu,cpuacct", V1, 1e9),
    "version 2": ("0::/user.slice/job\n", "user.slice/job", V2, 1e6),
    "version 2, a group above": ("0::/user.slice/job\n", "user.slice", V2, 1e6),
    "version 2 in a container": ("0::/user.slice/job\n", "", V2, 1e6),
}


@pytest.mark.parametrize(("lines", "folder", "text", "unit"), GROUPS.values(), ids=GROUPS)
def test_throttling_is_read_from_the_worker_s_control_group_of_either_version(
    machine, lines, folder, text, unit
):
    mount = machine.sys / "fs/cgroup"
    write(machine.proc / f"{PID}/cgroup", lines)
    write(mount / folder / "cpu.stat", text.format(int(7 * unit)))
    beside = turn_on(
        machine, lambda: write(mount / folder / "cpu.stat", text.format(int(7.3 * unit)))
    )
    assert beside["throttled_s"] == pytest.approx(0.3)


def test_clocks_that_agree_disagree_by_nothing(machine):
    assert turn_on(machine, nothing)["clock_s"] == pytest.approx(0.0, abs=1e-9)
    assert turn_on(machine, nothing)["around_s"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "jump"), [("CLOCK_BOOTTIME", 3.2), ("CLOCK_REALTIME", 3.2), ("CLOCK_REALTIME", -3.2)]
)
def test_a_machine_that_slept_and_a_clock_that_was_set_are_seen(machine, name, jump):
    beside = turn_on(machine, lambda: machine.clocks.update({name: machine.clocks[name] + jump}))
    assert beside["clock_s"] == pytest.approx(3.2)
    assert limits.invalid_reason(Turn(**CLEAN | beside), Limits(), 2).startswith(
        "the clocks disagree by 3.2 s, at most 0.25 s allowed"
    )


def test_a_worker_cannot_have_worked_longer_than_its_turn_was(machine):
    assert turn_on(machine, nothing, own=OWN | {"seconds": 1.4})["clock_s"] == pytest.approx(0.5)
    assert turn_on(machine, nothing, own=OWN | {"seconds": 0.2})["clock_s"] == pytest.approx(
        0.0, abs=1e-9
    )


def test_cores_are_those_that_are_allowed_and_online(machine):
    assert turn_on(machine, nothing)["n_cores"] == 2
    assert turn_on(machine, lambda: machine.allowed.remove(1))["n_cores"] == 1
    machine.allowed.update({1, 2, 3, 4})
    assert turn_on(machine, nothing)["n_cores"] == 3
    assert (
        turn_on(machine, lambda: write(machine.sys / "devices/system/cpu/online", "0\n"))["n_cores"]
        == 1
    )


def rapl(machine, zone, name, energy_j, most_j=262143.0):
    folder = machine.sys / "class/powercap" / zone
    for file, text in (
        ("name", name),
        ("energy_uj", str(int(energy_j * 1e6))),
        ("max_energy_range_uj", str(int(most_j * 1e6))),
    ):
        write(folder / file, f"{text}\n")


def test_energy_is_that_of_all_packages_and_of_no_part_of_one(machine):
    for zone, name in (
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:1", "package-1"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:2", "psys"),
    ):
        rapl(machine, zone, name, 1000)

    def during():
        rapl(machine, "intel-rapl:0", "package-0", 1020)
        rapl(machine, "intel-rapl:1", "package-1", 1015)
        rapl(machine, "intel-rapl:0:0", "core", 1500)
        rapl(machine, "intel-rapl:2", "psys", 1500)

    assert turn_on(machine, during)["energy_j"] == pytest.approx(35)


def test_an_energy_counter_that_begins_anew_is_carried_on(machine):
    rapl(machine, "intel-rapl:0", "package-0", 262140)
    assert turn_on(machine, lambda: rapl(machine, "intel-rapl:0", "package-0", 7))[
        "energy_j"
    ] == pytest.approx(10)


def test_energy_that_is_known_of_one_package_of_two_is_not_given(machine):
    rapl(machine, "intel-rapl:0", "package-0", 1000)
    rapl(machine, "intel-rapl:1", "package-1", 1000)
    (
        machine.sys / "class/powercap/intel-rapl:1/energy_uj"
    ).unlink()  # as one that only root may read
    assert turn_on(machine, nothing)["energy_j"] is None


def test_energy_of_a_gpu_is_added(machine, monkeypatch):
    counter = {"gpu 0": (50.0, 0.0)}
    monkeypatch.setattr(energy, "_gpu_energy", counter.copy)
    rapl(machine, "intel-rapl:0", "package-0", 1000)

    def during():
        rapl(machine, "intel-rapl:0", "package-0", 1001)
        counter["gpu 0"] = (80.0, 0.0)

    assert turn_on(machine, during)["energy_j"] == pytest.approx(31)


@pytest.mark.parametrize(
    ("excess", "said"),
    [
        ({}, ""),
        ({"others_s": 0.68}, "other processes used 34 % of the cores, at most 10 % allowed"),
        ({"others_s": 0.208}, "other processes used 10.4 % of the cores, at most 10 % allowed"),
        (
            {"steal_s": 0.12},
            "the hypervisor gave 6 % of the cores to other machines, at most 5 % allowed",
        ),
        (
            {"throttled_s": 0.12},
            "the control group's quota held it up for 12 % of the turn, at most 5 % allowed",
        ),
        ({"n_cores": 1}, "a core was taken away: 1 of 2 left"),
        ({"n_cores": 3}, "a core was added: 3 instead of 2"),
        (
            {"clock_s": 3.2},
            "the clocks disagree by 3.2 s, at most 0.25 s allowed: one was set, or the machine "
            "slept",
        ),
        ({"others_s": 0.68, "n_cores": 1}, "a core was taken away: 1 of 2 left"),
        ({"others_s": None, "steal_s": None, "throttled_s": None}, ""),
    ],
)
def test_a_turn_beyond_a_limit_says_which_with_figure_and_limit(excess, said):
    assert limits.invalid_reason(Turn(**CLEAN | excess), Limits(), 2) == said


def test_limits_are_those_of_the_session():
    lax = Limits(others=0.5, steal=0.5, throttled=0.5, clock_s=5.0)
    assert (
        limits.invalid_reason(
            Turn(
                **CLEAN | {"others_s": 0.68, "steal_s": 0.12, "throttled_s": 0.12, "clock_s": 3.2}
            ),
            lax,
            2,
        )
        == ""
    )


def test_on_this_machine_a_snapshot_gives_a_turn_s_fields():
    beside = disturbance.changes_since(
        disturbance.read_counters(os.getpid()),
        {"seconds": 0.0, "feed_s": 0.0, "user_s": 0.0, "system_s": 0.0},
    )
    turn = Turn(**CLEAN | beside)
    assert turn.n_cores >= 1
    assert turn.around_s > 0
    assert turn.clock_s < turn.around_s + 1e-3


class NVMLError(Exception):
    """NVML's own."""


def nvml(monkeypatch, **functions):
    """A driver with two GPUs, by the names of NVIDIA's Python module."""
    fake = types.SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
    )
    vars(fake).update(functions)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(energy, "_open", lambda: (None, fake, [0, 1]))


def refuse(*arguments):
    raise NVMLError("Not Supported")


def test_energy_of_gpus_is_nvml_s_count_of_all_of_them_in_joules(machine, monkeypatch):
    millijoules = {0: 5_000, 1: 7_000}
    nvml(monkeypatch, nvmlDeviceGetTotalEnergyConsumption=millijoules.get)
    assert turn_on(machine, lambda: millijoules.update({0: 8_000, 1: 7_500}))[
        "energy_j"
    ] == pytest.approx(3.5)


def test_energy_of_gpus_that_do_not_count_is_not_given(machine, monkeypatch):
    nvml(monkeypatch, nvmlDeviceGetTotalEnergyConsumption=refuse)
    assert turn_on(machine, nothing)["energy_j"] is None


def on_gpu(pid, n_bytes):
    return types.SimpleNamespace(pid=pid, usedGpuMemory=n_bytes)


@pytest.mark.parametrize(
    ("running", "n_bytes"),
    [
        ({0: [on_gpu(PID, 100), on_gpu(1, 7)], 1: [on_gpu(PID, 20)]}, 120),
        ({0: [on_gpu(1, 7)], 1: []}, None),
        ({0: [on_gpu(PID, None)], 1: []}, None),  # the driver sees the process, and does not say
    ],
)
def test_a_process_s_memory_on_gpus_is_the_sum_that_nvml_names_or_none(
    monkeypatch, running, n_bytes
):
    nvml(monkeypatch, nvmlDeviceGetComputeRunningProcesses=running.get)
    assert accelerators.process_memory(PID) == n_bytes


@pytest.mark.parametrize("silent", ["nvmlInit", "nvmlDeviceGetComputeRunningProcesses"])
def test_without_an_answering_driver_a_process_s_memory_on_gpus_is_none(monkeypatch, silent):
    nvml(monkeypatch, **{silent: refuse})
    assert accelerators.process_memory(PID) is None
