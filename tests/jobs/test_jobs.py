"""Jobs in this process, in processes and on a Dask cluster: each result exactly once, also after failures."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
import types

import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.jobs import Job, digest, run_jobs, workers
from nengo_snnconv.jobs import cluster as cluster_module

DATA = {"even": lambda: np.arange(200_000.0), "odd": lambda: np.ones(300)}


def add(data, *, threads, i, log, seconds=0.0, fatal=False):
    """Return a sum, the work of the jobs in these tests; each call appends a line to the file ``log``."""
    with open(log, "a") as file:
        file.write(f"{i}\n")
    time.sleep(seconds)
    if fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"i": i, "pid": os.getpid(), "threads": threads}, {"sum": data[: i + 1] + i}


def jobs_for(log, n=12, **arguments):
    names = ("even", "odd")
    return [Job({"i": i}, (names[i % 2],), {"i": i, "log": str(log), **arguments}) for i in range(n)]


class Taken:
    """Collects results, and can call a function after a number of them."""

    def __init__(self, after=None, do=None):
        self.results, self.after, self.do = [], after, do

    def __call__(self, job, result):
        figures, arrays = result
        assert job.identity == {"i": figures["i"]}
        expected = DATA[job.shared[0]]()[: figures["i"] + 1] + figures["i"]
        assert np.array_equal(arrays["sum"], expected)
        self.results.append(figures)
        if len(self.results) == self.after:
            self.do(figures)

    @property
    def numbers(self):
        return sorted(figures["i"] for figures in self.results)

    @property
    def pids(self):
        return {figures["pid"] for figures in self.results}


def calls(log):
    return sorted(map(int, log.read_text().split())) if log.exists() else []


def interrupt(_):
    raise KeyboardInterrupt


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two worker processes with one thread each, which restarts workers that die."""
    import distributed

    with distributed.LocalCluster(
        n_workers=2, processes=True, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL"
    ) as cluster:
        yield cluster


class TestHere:
    def test_results_are_kept_and_found_again(self, log, tmp_path):
        first, again = Taken(), Taken()
        run_jobs(add, jobs_for(log), first, shared=DATA, folder=tmp_path / "f", n_jobs=1)
        run_jobs(add, jobs_for(log, n=14), again, shared=DATA, folder=tmp_path / "f", n_jobs=1)
        assert first.numbers == list(range(12))
        assert again.numbers == calls(log) == list(range(14))
        assert first.pids == {os.getpid()}
        assert len(list((tmp_path / "f").iterdir())) == 14

    def test_nothing_is_kept_without_a_folder(self, log, tmp_path):
        run_jobs(add, jobs_for(log, 2), Taken(), shared=DATA, n_jobs=1)
        assert list(tmp_path.iterdir()) == [log]

    def test_an_interrupted_run_continues(self, log, tmp_path):
        folder, rest = tmp_path / "f", Taken()
        with pytest.raises(snc.JobsInterrupted, match="after 5 of 12") as caught:
            run_jobs(add, jobs_for(log), Taken(5, interrupt), shared=DATA, folder=folder, n_jobs=1)
        assert (caught.value.n_done, caught.value.n_jobs) == (5, 12)
        assert str(caught.value) == (
            f"interrupted after 5 of 12 jobs; their results are in {folder}: run it again with this folder to continue"
        )
        assert len(calls(log)) == 5
        run_jobs(add, jobs_for(log), rest, shared=DATA, folder=folder, n_jobs=1)
        assert rest.numbers == calls(log) == list(range(12))
        with pytest.raises(snc.JobsInterrupted, match="no results are kept") as caught:
            run_jobs(add, jobs_for(log), Taken(1, interrupt), shared=DATA, n_jobs=1)
        assert (caught.value.n_done, caught.value.n_jobs) == (1, 12)

    def test_what_is_shared_is_made_for_jobs_that_are_left_only(self, log, tmp_path):
        made = []
        shared = {name: lambda name=name, make=make: made.append(name) or make() for name, make in DATA.items()}
        jobs = jobs_for(log, 4)
        run_jobs(add, jobs[::2], Taken(), shared=shared, folder=tmp_path / "f", n_jobs=1)
        assert made == ["even"]
        run_jobs(add, jobs, Taken(), shared=shared, folder=tmp_path / "f", n_jobs=1)
        assert made == ["even", "odd"]
        run_jobs(add, jobs, Taken(), shared=shared, folder=tmp_path / "f", n_jobs=1)
        assert made == ["even", "odd"]

    def test_equal_jobs_are_run_once_and_taken_each(self, log):
        taken = Taken()
        run_jobs(add, jobs_for(log, 2) + jobs_for(log, 2), taken, shared=DATA, n_jobs=1)
        assert (taken.numbers, calls(log)) == ([0, 0, 1, 1], [0, 1])

    def test_many_cores_are_used_where_it_takes_long(self, log, monkeypatch):
        monkeypatch.setattr(workers, "PROBE_S", 0.05)
        monkeypatch.setattr(workers, "LONG_S", 0.2)
        monkeypatch.setattr("joblib.cpu_count", lambda: 2)
        taken = Taken()
        run_jobs(add, jobs_for(log, seconds=0.1), taken, shared=DATA)
        assert taken.numbers == calls(log) == list(range(12))
        here = [figures for figures in taken.results if figures["pid"] == os.getpid()]
        assert 1 <= len(here) < 4
        quick = Taken()
        monkeypatch.setattr(workers, "LONG_S", 10)
        run_jobs(add, jobs_for(log), quick, shared=DATA)
        assert quick.pids == {os.getpid()}


class TestFiles:
    @pytest.mark.parametrize("damage", ["cut short", "no archive", "another job's", "pickled", "other contents"])
    def test_what_cannot_be_trusted_is_computed_again(self, damage, log, tmp_path):
        folder, taken = tmp_path / "f", Taken()
        jobs = jobs_for(log, 3)
        run_jobs(add, jobs, Taken(), shared=DATA, folder=folder, n_jobs=1)
        path, other = (folder / f"{job.key}.npz" for job in jobs[:2])
        whole = path.read_bytes()
        if damage == "cut short":
            path.write_bytes(whole[: len(whole) // 2])
        elif damage == "no archive":
            path.write_text("mine")
        elif damage == "another job's":
            path.write_bytes(other.read_bytes())
        elif damage == "pickled":
            np.savez(path, **{"description.json": np.array([{"job": {"i": 0}}], object)})
        else:
            text = json.dumps({"format": "nengo_snnconv", "version": 1, "job": {"i": 0}})
            np.savez(path, **{"description.json": np.frombuffer(text.encode(), np.uint8)})
        with pytest.warns(UserWarning, match="computed again"):
            run_jobs(add, jobs, taken, shared=DATA, folder=folder, n_jobs=1)
        assert taken.numbers == [0, 1, 2]
        assert calls(log) == [0, 0, 1, 2]
        again = Taken()
        run_jobs(add, jobs, again, shared=DATA, folder=folder, n_jobs=1)
        assert len(calls(log)) == 4

    def test_results_of_others_are_left_alone(self, log, tmp_path):
        (tmp_path / "f").mkdir()
        (tmp_path / "f" / "notes.txt").write_text("mine")
        run_jobs(add, jobs_for(log, 1), Taken(), shared=DATA, folder=tmp_path / "f", n_jobs=1)
        assert (tmp_path / "f" / "notes.txt").read_text() == "mine"

    def test_a_file_is_no_folder(self, log):
        log.write_text("")
        with pytest.raises(snc.SettingsError, match="is a file") as caught:
            run_jobs(add, jobs_for(log, 1), Taken(), shared=DATA, folder=log, n_jobs=1)
        assert caught.value.argument == "folder"

    def test_digests_tell_values_apart(self):
        a = np.arange(6.0)
        values = [a, a + 1, a.reshape(2, 3), a.astype(np.float32), {"a": 1}, {"a": 2}, ["a", 1], None, "None"]
        assert len({digest(value) for value in values}) == len(values)
        assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        assert digest(a[::2]) == digest(a[::2].copy())


class TestProcesses:
    def test_results_are_those_of_this_process(self, log, tmp_path):
        taken = Taken()
        run_jobs(add, jobs_for(log, seconds=0.05), taken, shared=DATA, folder=tmp_path / "f", n_jobs=2)
        assert taken.numbers == calls(log) == list(range(12))
        assert len(taken.pids) == 2
        assert os.getpid() not in taken.pids

    def test_one_is_killed(self, log, tmp_path):
        taken = Taken(3, lambda figures: os.kill(figures["pid"], signal.SIGKILL))
        run_jobs(add, jobs_for(log, seconds=0.1), taken, shared=DATA, folder=tmp_path / "f", n_jobs=2)
        assert taken.numbers == list(range(12))
        assert len(taken.pids) > 2

    def test_they_always_die(self, log, tmp_path):
        jobs = [*jobs_for(log, 2), *jobs_for(log, 4, fatal=True)[2:]]
        with pytest.raises(snc.WorkersError, match="workers died 3 times"):
            run_jobs(add, jobs, Taken(), shared=DATA, folder=tmp_path / "f", n_jobs=2)
        rest = Taken()
        run_jobs(add, jobs_for(log, 4), rest, shared=DATA, folder=tmp_path / "f", n_jobs=1)
        assert rest.numbers == [0, 1, 2, 3]

    def test_an_error_of_a_job_arrives(self, log):
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            run_jobs(add, jobs_for(log, 3, colour="blue"), Taken(), shared=DATA, n_jobs=2)


def test_control_c_in_the_terminal(tmp_path):
    """Control-C reaches the command and its processes: running jobs finish, no others start, workers are silent."""
    code = f"""
        import pathlib, sys
        sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
        import test_jobs
        from nengo_snnconv.jobs import run_jobs

        def take(job, result):
            print("taken", flush=True)

        jobs = test_jobs.jobs_for({str(tmp_path / "log")!r}, 400, seconds=0.2)
        run_jobs(test_jobs.add, jobs, take, shared=test_jobs.DATA, folder={str(tmp_path / "f")!r}, n_jobs=2)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(3):
        assert process.stdout.readline() == "taken\n"
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    kept = len(list((tmp_path / "f").glob("*.npz")))
    assert kept == len(calls(tmp_path / "log"))
    assert 3 <= kept < 100
    assert "stopping when the running jobs are done" in errors
    assert f"JobsInterrupted: interrupted after {kept} of 400 jobs; their results are in" in errors.replace("\n", " ")
    assert "Process" not in errors


class TestDask:
    def test_a_worker_is_killed(self, cluster, log, tmp_path):
        taken = Taken(3, lambda figures: os.kill(figures["pid"], signal.SIGKILL))
        run_jobs(
            add,
            jobs_for(log, 24, seconds=0.1),
            taken,
            shared=DATA,
            folder=tmp_path / "f",
            dask=cluster.scheduler_address,
        )
        assert taken.numbers == list(range(24))
        assert os.getpid() not in taken.pids
        assert {figures["threads"] for figures in taken.results} == {1}
        again = Taken()
        run_jobs(add, jobs_for(log, 24), again, shared=DATA, folder=tmp_path / "f", dask=cluster.scheduler_address)
        assert again.results == sorted(taken.results, key=lambda figures: figures["i"])

    def test_it_is_interrupted_and_continues_elsewhere(self, cluster, log, tmp_path):
        import distributed

        with distributed.Client(cluster, set_as_default=False) as client:
            with pytest.raises(snc.JobsInterrupted, match="their results are in") as caught:
                run_jobs(
                    add,
                    jobs_for(log, seconds=0.1),
                    Taken(4, interrupt),
                    shared=DATA,
                    folder=tmp_path / "f",
                    dask=client,
                )
            assert (caught.value.n_done, caught.value.n_jobs) == (4, 12)
            assert client.status == "running"  # a client that was given stays open
        n_calls, rest = len(calls(log)), Taken()
        assert n_calls < 12
        run_jobs(add, jobs_for(log), rest, shared=DATA, folder=tmp_path / "f", n_jobs=1)
        assert rest.numbers == list(range(12))
        assert len([figures for figures in rest.results if figures["pid"] == os.getpid()]) == 8

    def test_another_version_is_refused(self, cluster, log, monkeypatch):
        monkeypatch.setattr(cluster_module, "__version__", "99")
        with pytest.raises(snc.WorkersError, match="install the same"):
            run_jobs(add, jobs_for(log, 1), Taken(), shared=DATA, dask=cluster.scheduler_address)

    def test_workers_that_cannot_read_the_work(self, cluster, log, monkeypatch):
        module = types.ModuleType("only_here")
        exec("def work(data, *, threads, **arguments): return {}, {}", module.__dict__)
        monkeypatch.setitem(sys.modules, "only_here", module)
        with pytest.raises(snc.WorkersError, match="cannot run .*only_here"):
            run_jobs(module.work, jobs_for(log, 1), Taken(), shared=DATA, dask=cluster.scheduler_address)

    def test_one_worker_is_enough_and_none_is_not(self, cluster, log, tmp_path, monkeypatch):
        """By itself, joblib would not use a cluster with a single thread, and would wait for workers forever."""
        monkeypatch.setattr(cluster_module, "PATIENCE_S", 2)
        options = {"shared": DATA, "folder": tmp_path / "f", "dask": cluster.scheduler_address}
        cluster.scale(1)
        few = Taken()
        run_jobs(add, jobs_for(log, 4), few, **options)
        assert (few.numbers, len(few.pids)) == ([0, 1, 2, 3], 1)
        assert os.getpid() not in few.pids
        with pytest.raises(snc.WorkersError, match="has no workers"):
            run_jobs(add, jobs_for(log, seconds=0.3), Taken(5, lambda _: cluster.scale(0)), **options)
        cluster.scale(2)

    def test_there_is_no_scheduler(self, log, monkeypatch):
        monkeypatch.setattr(cluster_module, "PATIENCE_S", 0.2)
        with pytest.raises(snc.WorkersError, match="no Dask scheduler"):
            run_jobs(add, jobs_for(log, 1), Taken(), shared=DATA, dask="tcp://127.0.0.1:9")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_jobs": 0}, "^n_jobs must be"),
            ({"n_jobs": 2, "dask": "tcp://127.0.0.1:9"}, "n_jobs or dask"),
            ({"dask": 8786}, "^dask must be"),
        ],
    )
    def test_arguments_are_checked(self, options, message, log):
        with pytest.raises(snc.SettingsError, match=message):
            run_jobs(add, jobs_for(log, 1), Taken(), shared=DATA, **options)

    def test_without_dask_it_says_what_to_install(self, log, monkeypatch):
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(snc.CompatibilityError, match=r"pip install 'nengo_snnconv\[dask\]'"):
            run_jobs(add, jobs_for(log, 1), Taken(), shared=DATA, dask="tcp://127.0.0.1:9")
