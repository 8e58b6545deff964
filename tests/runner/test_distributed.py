"""Several processes over loopback: the results of one, in one folder, resumed by another number."""

import json
import os
import shutil
import socket
import time

import numpy as np
import pytest
from absl.testing import flagsaver
from safetensors.numpy import load_file

from lstm_attn.errors import UsageError
from lstm_attn.runner import command
from tests import PATIENCE
from tests.conftest import QUICK_FLAGS
from tests.studies.test_compare import metrics_lines, without_seconds

# Two trials: two processes take one each; four processes take half of each batch of one.
SMALL = (
    "--config.models=('gru',)",
    "--config.task.names=('adding',)",
    "--config.task.lengths=(3,)",
    "--config.model.features=4",
    "--config.training.steps=160",
    "--config.training.evaluate_every=4",
    "--config.training.warmup_steps=10",
    "--config.training.evaluation_sequences=20",
    "--config.training.confirmation_sequences=40",
    "--config.training.seeds=2",
    "--config.training.learning_rates=(0.01,)",
    "--config.training.stop_when_solved=False",
)


@pytest.fixture(scope="module")
def start(compare, tmp_path_factory):
    """start(count, workdir) starts this many processes of one device each; they share a folder for
    temporary files. With SLURM's variables, or with an explicit address."""
    temporary = tmp_path_factory.mktemp("temporary")
    running = []

    def start(count, workdir, *overrides, slurm=False, config_of=lambda process: ()):
        with socket.create_server(("", 0)) as server:
            port = server.getsockname()[1]
        job = next(number for number in range(4096) if free(SLURM_PORTS + number))
        for process in range(count):
            joining = (
                ["--distributed"]
                if slurm
                else [
                    f"--coordinator_address=localhost:{port}",
                    f"--num_processes={count}",
                    f"--process_id={process}",
                ]
            )
            variables = {
                "JAX_NUM_CPU_DEVICES": "1",
                "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
                # Without XLA's emitters the bits of a trial depend on the trials beside it.
                "XLA_FLAGS": os.environ.get("XLA_FLAGS", "").replace(QUICK_FLAGS, "").strip(),
                "TMPDIR": str(temporary),
                **(slurm_step(job, count, process) if slurm else {}),
            }
            joining = joining if count > 1 else []
            running.append(
                compare(
                    workdir,
                    *SMALL,
                    *joining,
                    *overrides,
                    *config_of(process),
                    variables=variables,
                )
            )
        return running[-count:]

    start.temporary = temporary
    yield start
    for process in running:
        if process.poll() is None:
            process.kill()


SLURM_PORTS = 2**16 - 2**12  # JAX's first port for SLURM jobs; it adds the job's number


def free(port):
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


def slurm_step(job, count, process):
    """What SLURM tells each process of `srun --ntasks=count` on one node."""
    return {
        "SLURM_JOB_ID": str(job),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NTASKS": str(count),
        "SLURM_PROCID": str(process),
        "SLURM_LOCALID": str(process),
    }


def ends(processes):
    """(status, stdout, stderr) of each; Gloo's own lines left out."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=PATIENCE)
        ours = [line for line in out.splitlines(keepends=True) if not line.startswith("[Gloo]")]
        found.append((process.returncode, "".join(ours), err))
    return found


def files_of(workdir):
    return sorted(str(path.relative_to(workdir)) for path in workdir.rglob("*") if path.is_file())


def states_of(workdir):
    return load_file(workdir / "checkpoints" / "adding-3-gru.safetensors")


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """An uninterrupted run of one process."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    [(status, _, err)] = ends(start(1, workdir))
    assert status == 0, err
    return workdir


@pytest.fixture(scope="module")
def stopped(start, tmp_path_factory):
    """A run of two processes started by SLURM, of which the second was killed: its folder, and how
    the first process ended."""
    workdir = tmp_path_factory.mktemp("stopped") / "run"
    leader, other = start(2, workdir, slurm=True)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and leader.poll() is None:
        log = workdir / "metrics.jsonl"
        if log.exists() and log.read_text().count("\n") >= 8:
            break
        time.sleep(0.005)
    other.kill()
    [end, _] = ends([leader, other])
    shutil.rmtree(start.temporary)  # the killed process could not remove it
    start.temporary.mkdir()
    return workdir, end


@pytest.mark.full
def test_a_lost_process_ends_the_others(stopped):
    """A process killed with signal 9. Catches a leader that waits for it for ever, or that ends in
    a traceback."""
    workdir, (status, out, err) = stopped
    assert status == command.LOST_STATUS, err
    assert "2 trials on 2 cpu devices of 2 processes (trial axis 2, batch axis 1)" in out
    assert err.startswith("error: another process of this run has ended, and so does this one")
    assert err.count("\n") == 1
    assert 8 <= len(metrics_lines(workdir)) <= 40


@pytest.mark.full
def test_one_process_goes_on_from_two_to_the_same_bits(start, whole, stopped, tmp_path):
    """Identity with the run of one process, bit for bit: only trials were split. Catches a trial
    that two processes share, states gathered in another order, and a line from each process."""
    workdir = shutil.copytree(stopped[0], tmp_path / "run")
    before = without_seconds(metrics_lines(workdir))
    [(status, out, err)] = ends(start(1, workdir))
    assert status == 0, err
    assert out.startswith("2 trials on 1 cpu device (trial axis 1, batch axis 1)")
    lines = without_seconds(metrics_lines(workdir))
    assert lines == without_seconds(metrics_lines(whole))
    assert lines[: len(before) - 1] == before[:-1]
    ours, theirs = states_of(workdir), states_of(whole)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.full
def test_four_processes_go_on_from_two_and_write_one_folder(start, whole, stopped, tmp_path):
    """The run of one process, to 1e-3 relative: each batch is split in two, so gradients are added
    in another order. Catches a gradient that is not reduced over processes, data drawn by process,
    a folder written by all, and a copy of the folder that stays behind."""
    workdir = shutil.copytree(stopped[0], tmp_path / "run")
    (_, out, _), *others = found = ends(start(4, workdir))
    assert [status for status, _, _ in found] == [0] * 4, [err for _, _, err in found]
    assert "2 trials on 4 cpu devices of 4 processes (trial axis 2, batch axis 2)" in out
    assert all(theirs == "" for _, theirs, _ in others)
    assert not os.listdir(start.temporary)
    assert files_of(workdir) == files_of(whole)
    lines, expected = metrics_lines(workdir), metrics_lines(whole)
    assert [line["step"] for line in lines] == [line["step"] for line in expected]
    for line, other in zip(lines, expected, strict=True):
        for name, values in line["metrics"].items():
            np.testing.assert_allclose(values, other["metrics"][name], rtol=1e-3, atol=1e-6)
    record, other = (json.loads((path / "results.json").read_text()) for path in (workdir, whole))
    assert record[0]["final_loss"] == pytest.approx(other[0]["final_loss"], rel=1e-3)


@pytest.mark.full
def test_processes_of_different_configs_are_refused_together(start, tmp_path):
    """Catches processes that wait for each other for ever, and an error printed by each of them."""
    rate = {0: "(0.02,)", 1: "(0.03,)"}  # besides that of every test
    found = ends(
        start(
            2,
            tmp_path / "run",
            config_of=lambda process: [f"--config.training.learning_rates={rate[process]}"],
        )
    )
    assert [status for status, _, _ in found] == [2, 2]
    message = "error: process 1 was started with another config than process 0\n"
    assert [err for _, _, err in found] == [message, ""]
    assert not (tmp_path / "run").exists()


@pytest.mark.full
def test_without_a_cluster_there_is_one_line(compare, tmp_path):
    """Outside SLURM and other clusters. Catches a traceback, and a run in one process instead."""
    outside = {name: "" for name in os.environ if name.startswith(("SLURM", "OMPI", "KUBERNETES"))}
    process = compare(tmp_path / "run", "--distributed", variables=outside)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert err.startswith("error: the processes of this run can't be found: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_processes": 2}, "expected all or none of them, got None, 2, None"),
        (
            {"coordinator_address": "a:1", "num_processes": 2, "process_id": 2},
            "--process_id: expected less than --num_processes=2, got 2",
        ),
        (
            {"coordinator_address": "somewhere", "num_processes": 2, "process_id": 1},
            "coordinator_address: expected host:port, got 'somewhere'",
        ),
        (
            {"coordinator_address": "localhost:99999", "num_processes": 2, "process_id": 1},
            "coordinator_address: expected host:port, got 'localhost:99999'",
        ),
        (
            {"coordinator_address": "nowhere.invalid:9", "num_processes": 2, "process_id": 1},
            "coordinator_address nowhere.invalid:9: ",
        ),
    ],
)
def test_flags_that_do_not_fit_are_one_line(given, message):
    """Catches an ignored flag, and an address for which JAX would end the process."""
    with flagsaver.flagsaver(**given), pytest.raises(UsageError) as error:
        command.start()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_port_that_is_taken_is_one_line():
    """Catches an error of gRPC and a crash in C++."""
    with socket.create_server(("", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
        with (
            flagsaver.flagsaver(coordinator_address=address, num_processes=2, process_id=0),
            pytest.raises(UsageError, match="Address already in use"),
        ):
            command.start()


@pytest.mark.full
def test_processes_tune_as_one_does(start, tmp_path):
    """Identity with one process, of what is chosen; two trials a rate, one on each process. Then a
    folder that goes on trains nothing. Catches processes that choose differently, so that one waits
    for the other for ever, and a tuning that is not taken up by all."""
    tuned = ("--config.training.learning_rates=(0.003,0.03)", "--config.training.steps=40")
    [(status, _, err)] = ends(start(1, tmp_path / "one", *tuned))
    assert status == 0, err
    for place in ("two", "two"):
        found = ends(start(2, tmp_path / place, *tuned))
        assert [status for status, _, _ in found] == [0, 0], found
    assert "compiling" not in found[0][1]
    (one,), (two,) = (
        json.loads((tmp_path / name / "tuning.json").read_text())["cells"]
        for name in ("one", "two")
    )
    assert (one["learning_rate"], one["trials"]) == (two["learning_rate"], two["trials"])
    for mine, theirs in zip(one["tried"], two["tried"], strict=True):
        assert mine["learning_rate"] == theirs["learning_rate"]
        assert mine["log_forgotten"] == pytest.approx(theirs["log_forgotten"], abs=1e-3)
