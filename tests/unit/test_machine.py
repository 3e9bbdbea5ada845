"""Which machine a figure is of: by more than its description, and nothing tells its id."""

import hashlib
import json
from pathlib import Path

import pytest

from harness.job import machine
from harness.job.answers import Host
from tests.unit.records import record

PLAIN = {
    "machine": "m",
    "n_cores": 2,
    "memory_bytes": 1,
    "accelerators": (),
    "driver": None,
    "load_1m": 0.0,
}
A, B = "a" * 64, "b" * 64


def written(folder, **files):
    for name, text in files.items():
        file = folder / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"identity": A}, {"identity": A}, True),
        ({"identity": A, "boot": A}, {"identity": A, "boot": B}, True),
        ({"identity": A}, {"identity": B}, False),
        ({"identity": A, "boot": A}, {"identity": B, "boot": A}, False),
        ({"boot": A}, {"boot": A}, True),
        ({"identity": A, "boot": A}, {"boot": A}, True),
        ({"boot": A}, {"boot": B}, None),
        ({"identity": A}, {}, None),
        ({}, {}, None),
    ],
)
def test_two_hosts_are_one_by_their_id_or_their_boot_or_else_it_is_not_known(one, other, same):
    hosts = Host(**PLAIN | one), Host(**PLAIN | other)
    assert hosts[0].same_as(hosts[1]) is hosts[1].same_as(hosts[0]) is same


def test_this_machine_is_itself_and_its_raw_id_is_in_no_record():
    first, second = (machine.describe_host() for _ in range(2))
    assert first.same_as(second) is True
    for file in (Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id")):
        raw = file.read_text().strip() if file.is_file() else "no such file"
        for told in (raw, raw.replace("-", ""), hashlib.sha256(raw.encode()).hexdigest()):
            assert told not in repr(first), "a digest without a salt can be looked up"


def test_another_id_is_another_identity_and_none_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.platform, "system", lambda: "Linux")
    first = machine.identity(written(tmp_path / "a", **{"machine-id": "3d1219c7\n"}), tmp_path)
    written(tmp_path / "b", **{"lib__dbus__machine-id": "3d1219c7"})
    assert machine.identity(tmp_path / "none", tmp_path / "b") == first
    assert machine.identity(
        written(tmp_path / "c", **{"machine-id": "4d1219c7\n"}), tmp_path / "b"
    ) not in (first, None)
    for text in ("", "\n", "uninitialized\n"):
        assert (
            machine.identity(written(tmp_path / "d", **{"machine-id": text}), tmp_path / "none")
            is None
        )
    assert machine.identity(tmp_path / "none", tmp_path / "none") is None
    assert machine.boot(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/a/b\n", {"a__b__cpu.max": "100000 100000\n"}, 1.0),
        ("0::/a/b\n", {"a__b__cpu.max": "max 100000\n", "a__cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", {"a__b__cpu.max": "300000 100000\n", "a__cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a__b__cpu.max": "max 100000\n"}, None),
        ("0::/elsewhere\n", {"cpu.max": "200000 100000\n"}, 2.0),
        (
            "3:cpu,cpuacct:/a\n2:memory:/x\n",
            {"cpu__a__cpu.cfs_quota_us": "150000\n", "cpu__a__cpu.cfs_period_us": "100000\n"},
            1.5,
        ),
        (
            "3:cpu:/a\n",
            {"cpu__a__cpu.cfs_quota_us": "-1\n", "cpu__a__cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ("0::/\n", {"cpu.max": "rubbish\n"}, None),
        ("0::/\n", {"cpu.max": "100000 0\n"}, None),
        ("", {}, None),
    ],
)
def test_a_quota_is_the_least_of_its_group_and_those_above_it(tmp_path, groups, files, cores):
    proc = written(tmp_path / "proc", self__cgroup=groups)
    sys = written(tmp_path / "sys", **{f"fs__cgroup__{name}": text for name, text in files.items()})
    assert machine.quota_cores(proc, sys) == cores


def test_a_container_with_a_smaller_quota_is_another_machine_by_its_description(monkeypatch):
    told = []
    for quota in (None, 64000.0, 0.5):
        monkeypatch.setattr(machine, "quota_cores", lambda quota=quota: quota)
        told.append(machine.describe_host())
    assert told[0].machine == told[1].machine, "a quota of more cores than there are is none"
    assert "quota of 0.5" in told[2].machine
    assert [each.quota_cores for each in told] == [None, 64000.0, 0.5]


def test_a_record_of_before_is_read_with_nothing_known_of_its_machine():
    old = record().model_dump(mode="json")
    for name in ("identity", "boot", "quota_cores"):
        del old["host"][name]
    host = type(record()).model_validate_json(json.dumps(old)).host
    assert (host.identity, host.boot, host.quota_cores) == (None, None, None)
