"""What the process may use of its host: cores by quota, affinity and variable; folders; flags."""

import ast
import os
import pwd
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from benchmarks import contenders
from lstm_attn import host, training
from lstm_attn.errors import UsageError
from lstm_attn.native import call
from lstm_attn.runner import machine
from lstm_attn.runner.launchers import Options

ROOT = Path(__file__).parent.parent


@pytest.fixture
def cgroups(tmp_path, monkeypatch):
    """cgroups(lines of /proc/self/cgroup, files below /sys/fs/cgroup): a faked host of 64 cores,
    all of them in the affinity mask."""
    monkeypatch.setattr(host, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(host, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.delenv(host.CORES_VARIABLE, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)

    def fake(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return fake


def v1(folder, quota, period="100000"):
    return {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": period}


V1_LINES = "5:memory:/pod\n4:cpu,cpuacct:/pod/job\n1:name=systemd:/pod\n"
QUOTAS = {
    "v2": ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
    "v2, none": ("0::/\n", {"cpu.max": "max 100000\n"}, None),
    "v2, of the inner group": ("0::/pod/job\n", {"pod/job/cpu.max": "150000 50000\n", "pod/cpu.max": "max 100000\n"}, 3.0),
    "v2, of the outer group": ("0::/pod/job\n", {"pod/job/cpu.max": "800000 100000\n", "pod/cpu.max": "250000 100000\n"}, 2.5),
    "v2, the root has none": ("0::/pod\n", {"cgroup.procs": "1\n", "pod/cpu.max": "50000 100000\n"}, 0.5),
    "v2, a path of the host": ("0::/../../pod\n", {"cpu.max": "400000 100000\n"}, 4.0),
    "v1": (V1_LINES, v1("cpu,cpuacct/pod/job", "700000\n"), 7.0),
    "v1, none": (V1_LINES, v1("cpu,cpuacct/pod/job", "-1\n"), None),
    "v1, of the outer group": (V1_LINES, {**v1("cpu,cpuacct/pod/job", "-1\n"), **v1("cpu,cpuacct/pod", "300000\n")}, 3.0),
    "v1, a path of the host": (V1_LINES, v1("cpu,cpuacct", "600000\n"), 6.0),
    "v1, by its link": (V1_LINES, v1("cpu/pod/job", "500000\n"), 5.0),
    "both, v1 has the quota": ("4:cpu:/\n0::/\n", {**v1("cpu", "200000\n"), "unified/cgroup.procs": ""}, 2.0),
    "both, v2 has the quota": ("4:cpu:/\n0::/job\n", {**v1("cpu", "-1\n"), "unified/job/cpu.max": "300000 100000\n"}, 3.0),
    "another controller": ("4:cpuset:/\n", v1("cpuset", "200000\n"), None),
    "no cgroups": ("", {}, None),
    "nonsense": ("0::/\n", {"cpu.max": "many\n"}, None),
}  # fmt: skip


@pytest.mark.parametrize(("own", "files", "expected"), QUOTAS.values(), ids=QUOTAS)
def test_the_quota_of_a_cgroup(cgroups, own, files, expected):
    """By hand, from the kernel's documentation of both versions. Catches a version, an outer group
    or a mount that is not read, and a group of another controller that is."""
    cgroups(own, files)
    assert host.cgroup_quota() == expected
    assert host.usable_cores() == (64 if expected is None else max(1, int(expected)))


def test_without_proc_and_affinity_all_visible_cores_count(cgroups, monkeypatch):
    """Catches a traceback on a system that is not Linux."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert host.usable_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert host.usable_cores() == 1


@pytest.mark.parametrize(
    ("named", "cores"),
    [("3", 3), ("100", 8), ("0", 8), ("", 8), ("-2", 8), ("many", 8), ("1", 1)],
)
def test_the_variable_lowers_the_count(cgroups, monkeypatch, named, cores):
    """By hand: 8 cores by quota. Catches a variable that raises the count, and a traceback of a
    value that is no number."""
    cgroups("0::/\n", {"cpu.max": "800000 100000\n"})
    monkeypatch.setenv(host.CORES_VARIABLE, named)
    assert host.usable_cores() == cores


def slurm_workers_at_once():
    slurm_jobs = pytest.importorskip("lstm_attn.runner.launchers.slurm_jobs")
    options = Options("slurm", slurm=("cluster=local",))
    return slurm_jobs.SlurmJobs(options, Path("none")).at_once


def devices_asked_for():
    """Of JAX, by a notebook or a study that begins."""
    before = jax.config.jax_num_cpu_devices
    asked = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(jax.config), "jax_num_cpu_devices", -1, raising=False)
        patch.setattr(jax.config, "update", asked.__setitem__)
        training.use_host_cores()
    assert jax.config.jax_num_cpu_devices == before
    return asked["jax_num_cpu_devices"]


COUNTS = {
    "threads of the kernel on one device": call.thread_count,
    "host devices": devices_asked_for,
    "cores in the report": lambda: machine.describe()["cores"],
    "threads of XLA": lambda: int(os.environ[host.CORES_VARIABLE]),
    "workers of a local cluster": slurm_workers_at_once,
    "devices of a benchmark": contenders.usable_cores,
}


def test_all_that_counts_cores_counts_the_same(cgroups, monkeypatch):
    """Oracle: the quota, 3 of 64 cores. Catches threads, devices or a report that follow what is
    visible."""
    cgroups("0::/\n", {"cpu.max": "350000 100000\n"})
    monkeypatch.setattr(jax, "local_device_count", lambda backend: 1)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.setenv(host.CORES_VARIABLE, "64")
    host.limit_xla_threads()
    assert {name: count() for name, count in COUNTS.items()} == dict.fromkeys(COUNTS, 3)


def test_xla_keeps_its_own_count_where_there_is_no_quota(cgroups, monkeypatch):
    """Catches a limit for all, which would change the threads of those who need none."""
    cgroups("0::/\n", {"cpu.max": "max 100000\n"})
    host.limit_xla_threads()
    assert host.CORES_VARIABLE not in os.environ


COUNTED_IN = ("lstm_attn/host.py", "tools/scaling/check.py")  # which sets its own mask
FOUND_IN = ("lstm_attn/host.py",)
OWNERS = {
    "cpu_count": COUNTED_IN,
    "process_cpu_count": COUNTED_IN,
    "sched_getaffinity": COUNTED_IN,
    "user_cache_path": FOUND_IN,
    "user_cache_dir": FOUND_IN,
    "expanduser": FOUND_IN,
}
FOLDERS = ("lstm_attn", "benchmarks", "tools", "experiments", "examples", "notebooks", "configs")


def test_nobody_else_asks_the_system():
    """Oracle: the syntax trees. Catches a new place that counts visible cores, or that has no
    answer for a user without a home."""
    asked = [
        (path.relative_to(ROOT).as_posix(), node.attr)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in OWNERS
    ]
    assert {place for place, _ in asked} >= set(FOUND_IN)
    assert [one for one in asked if one[0] not in OWNERS[one[1]]] == []


DEVICES = """
import jax
from lstm_attn import training
{before}
training.use_host_cores()
print(jax.device_count())
"""


@pytest.mark.full_but("flag")
@pytest.mark.parametrize(
    ("before", "variables"),
    [
        ("", {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}),
        ("", {"JAX_NUM_CPU_DEVICES": "3"}),
        ("jax.config.update('jax_num_cpu_devices', 3)", {}),
    ],
    ids=["flag", "variable", "config"],
)
def test_a_count_of_devices_that_was_chosen_stays(before, variables):
    """Oracle: the count, in a process of its own; cores by the variable are 5. Catches devices that
    override a count in XLA_FLAGS, one in JAX's variable, and one in JAX's config."""
    usual = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", DEVICES.format(before=before)],
        cwd=ROOT, env={**usual, host.CORES_VARIABLE: "5", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "3\n", done.stderr


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        ("", None),
        ("--xla_one=3", "3"),
        ("--xla_one=3 --xla_one=4", "4"),
        ("--xla_two='a b' --xla_one='3'", "3"),
        ("--xla_one_more=3 --no_xla_one=4", None),
        ("  --xla_two=it's --xla_one=3", "3"),
        ("--xla_one", None),
    ],
)
def test_a_flag_of_xla_is_read_as_xla_reads_it(flags, value, monkeypatch, tmp_path):
    """By hand, from XLA's parser. Catches a flag of which the name is a part, the first of two, a
    quoted one, and flags in a file."""
    monkeypatch.setenv("XLA_FLAGS", flags)
    assert host.xla_flag("xla_one") == value
    (tmp_path / "flags").write_text(f"{flags}\n")
    monkeypatch.setenv("XLA_FLAGS", str(tmp_path / "flags"))
    assert host.xla_flag("xla_one") == value
    monkeypatch.setenv("XLA_FLAGS", str(tmp_path / "none"))
    assert host.xla_flag("xla_one") is None


@pytest.mark.parametrize("command", ["g++", "ccache g++", "'/a b/g++' -B\"c d\"", r"/a\ b/g++", ""])
def test_a_command_is_split_as_a_shell_does(command):
    """Oracle: /bin/sh. Catches a split at each space."""
    script = f'for word in {command}; do printf "%s\\n" "$word"; done'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert host.words(command) == said.splitlines() == shlex.split(command)
    assert host.words("it's") == ["it's"]


@pytest.fixture
def homeless(monkeypatch):
    """A user without HOME and without an entry in the system's list, as in a container."""

    def nobody(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


def test_a_user_without_a_home_has_no_cache_folder(homeless, monkeypatch, tmp_path):
    """Oracle: the message. Catches a traceback, and a folder named `~` in the working folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no home folder; set HOME or XDG_CACHE_HOME"):
        host.cache_folder()
    monkeypatch.setattr(host.platformdirs, "user_cache_path", lambda *a, **o: Path("~/.cache/x"))
    with pytest.raises(UsageError, match="no home folder"):  # what older versions answer
        host.cache_folder()
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_gets_a_folder_where_it_has_none(homeless, monkeypatch, tmp_path):
    """Catches matplotlib's complaint, and a user's own folder that is not used."""
    host.give_matplotlib_a_folder()
    given = Path(os.environ["MPLCONFIGDIR"])
    assert given.is_dir()
    given.rmdir()
    monkeypatch.delenv("MPLCONFIGDIR")
    monkeypatch.setenv("HOME", str(tmp_path / "not" / "there yet"))
    host.give_matplotlib_a_folder()
    assert "MPLCONFIGDIR" not in os.environ
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    host.give_matplotlib_a_folder()
    Path(os.environ["MPLCONFIGDIR"]).rmdir()
    monkeypatch.setenv("MPLCONFIGDIR", "of the user")
    host.give_matplotlib_a_folder()
    assert os.environ["MPLCONFIGDIR"] == "of the user"
