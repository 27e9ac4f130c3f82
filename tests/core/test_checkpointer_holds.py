"""Who holds a workflow: threads, checkpointers and processes, dead ones included."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time

import pytest

from hypergraph.checkpointers import SqliteCheckpointer
from hypergraph.errors import CheckpointError, WorkflowBusyError
from hypergraph.testing.suite.storing import HISTORY, header, safe

# A process that does what it is told, line by line, and answers each.
WORKER = """
import os, signal, sys
from hypergraph.checkpointers import SqliteCheckpointer
from hypergraph.errors import WorkflowBusyError
from hypergraph.testing.suite.storing import HISTORY, header, safe
checkpointer = SqliteCheckpointer(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    word, _, name = line.strip().partition(" ")
    if word == "begin":
        try:
            print(len(checkpointer.begin(name).steps), flush=True)
        except WorkflowBusyError:
            print("busy", flush=True)
    elif word == "save":
        safe(checkpointer.put(header(name)))
        for step in HISTORY:
            safe(checkpointer.save(name, step))
        print("saved", flush=True)
    elif word == "end":
        safe(checkpointer.end(name))
        print("ended", flush=True)
    elif word == "held":
        print(checkpointer.get_workflow(name).held, flush=True)
"""


class Worker:
    def __init__(self, path):
        command = [sys.executable, "-W", "error", "-c", WORKER, str(path)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().strip()

    def ask(self, line):
        self.tell(line)
        return self.answer()

    def kill(self):
        self.process.kill()
        self.close()

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    with SqliteCheckpointer(tmp_path / "runs.db") as checkpointer:
        yield checkpointer


@pytest.fixture
def workers(store):
    """A function that starts so many processes on the same file."""
    with contextlib.ExitStack() as stack:

        def start(count):
            started = [Worker(store.path) for _ in range(count)]
            for worker in started:
                stack.callback(worker.close)
            assert [worker.answer() for worker in started] == ["ready"] * count
            return started

        yield start


def test_of_many_processes_one_wins_and_its_death_lets_go_at_once(store, workers):
    crowd = workers(4)
    for worker in crowd:
        worker.tell("begin w")
    answers = [worker.answer() for worker in crowd]
    assert sorted(answers) == ["0", "busy", "busy", "busy"]
    winner = crowd.pop(answers.index("0"))
    assert winner.ask("save w") == "saved"
    with pytest.raises(WorkflowBusyError, match="another process") as caught:
        store.begin("w")
    assert str(store.path) in str(caught.value)
    assert [worker.ask("held w") for worker in crowd] == ["True"] * 3
    winner.kill()
    assert [worker.ask("held w") for worker in crowd] == ["False"] * 3
    assert crowd[0].ask("begin w") == "8"
    assert not store.list_workflows(limit=0)
    assert store.get_workflow("w").held
    assert crowd[0].ask("end w") == "ended"
    assert list(store.begin("w").steps) == HISTORY


def test_one_process_may_hold_some_and_another_others(store, workers):
    (worker,) = workers(1)
    store.begin("a")
    assert worker.ask("begin b") == "0"
    assert worker.ask("begin a") == "busy"
    with pytest.raises(WorkflowBusyError):
        store.begin("b")
    with SqliteCheckpointer(store.path) as other:  # closing it must not lose what store holds
        for name in ("a", "b"):
            with pytest.raises(WorkflowBusyError):
                other.begin(name)
        other.begin("c")
    assert worker.ask("begin a") == "busy"
    assert worker.ask("begin c") == "0"
    safe(store.end("a"))
    assert worker.ask("begin a") == "0"


def test_looking_at_a_workflow_does_not_keep_others_from_it(store, workers):
    (worker,) = workers(1)
    store.begin("w")
    safe(store.put(header("w")))
    safe(store.end("w"))
    for _ in range(50):
        worker.tell("begin w")
        while not store.get_workflow("w").held:
            pass
        assert worker.answer() == "0"
        assert worker.ask("end w") == "ended"


def test_a_link_to_the_file_is_the_file(store, tmp_path):
    (tmp_path / "link.db").symlink_to(store.path)
    with SqliteCheckpointer(tmp_path / "link.db") as other:
        assert other.path == store.path
        store.begin("w")
        with pytest.raises(WorkflowBusyError):
            other.begin("w")


def test_what_could_not_be_read_is_not_held(store):
    store.begin("w")
    safe(store.put(header("w")))
    safe(store.end("w"))
    store._database.run("written", lambda c: c.execute("UPDATE workflows SET header = x'00'"))
    for _ in range(2):
        with pytest.raises(CheckpointError, match="header"):
            store.begin("w")
    store.delete("w")


def test_a_file_of_holds_that_cannot_be_opened_is_a_checkpoint_error(store):
    os.mkdir(f"{store.path}-holds")
    with pytest.raises(CheckpointError, match="opened"):
        store.begin("w")
    os.rmdir(f"{store.path}-holds")
    store.begin("w")


# --- forks --------------------------------------------------------------------------------------


def forked(work, wait=True):
    """Do something in a forked process; return its id, or whether it went well."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if not wait:
        return child
    return os.waitpid(child, 0)[1] == 0


FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@FORKS
def test_a_forked_child_holds_nothing_and_has_a_file_and_a_thread_of_its_own(store, workers):
    (worker,) = workers(1)
    store.begin("w")
    safe(store.put(header("w")))

    def child():
        with pytest.raises(WorkflowBusyError):
            store.begin("w")
        with pytest.raises(CheckpointError, match="not held"):
            store.save("w", HISTORY[0])
        store.begin("mine")
        safe(store.put(header("mine")))
        for step in HISTORY:
            safe(store.save("mine", step))
        safe(store.end("mine"))
        assert store.get_steps("mine") == HISTORY
        store.close()

    assert forked(child)
    assert worker.ask("begin w") == "busy"
    safe(store.save("w", HISTORY[0]))
    safe(store.end("w"))
    assert store.get_steps("mine") == HISTORY
    assert store.get_steps("w") == HISTORY[:1]


@FORKS
def test_a_child_that_lives_on_keeps_nothing_of_its_parent(store, workers, tmp_path):
    (worker,) = workers(1)

    def parent():
        store.begin("w")
        child = forked(lambda: time.sleep(60), wait=False)
        (tmp_path / "child").write_text(str(child))

    assert forked(parent)  # it is dead now, its child is not
    child = int((tmp_path / "child").read_text())
    try:
        assert worker.ask("begin w") == "0"
    finally:
        os.kill(child, signal.SIGKILL)


@FORKS
def test_forking_while_steps_are_written_harms_neither(store):
    store.begin("w")
    store.put(header("w"))
    for i in range(20):
        futures = [store.save("w", step) for step in HISTORY] if i == 0 else []

        def child(name=f"child{i}"):
            store.begin(name)
            safe(store.put(header(name)))
            safe(store.save(name, HISTORY[0]))
            safe(store.end(name))

        assert forked(child)
        for future in futures:
            safe(future)
    safe(store.end("w"))
    assert store.get_steps("w") == HISTORY
    assert len(store.list_workflows()) == 21


@FORKS
def test_what_waits_to_be_written_is_written_by_the_parent_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HYPERGRAPH_HOME", str(tmp_path / "home"))
    with SqliteCheckpointer(tmp_path / "runs.db", durability="async") as store:
        store.begin("w")
        store.put(header("w"))
        for step in HISTORY:
            store.save("w", step)
        assert forked(lambda: (gc.collect(), store.close()))
        safe(store.end("w"))
        assert store.get_steps("w") == HISTORY


def test_killing_every_writer_again_and_again_loses_and_doubles_nothing(store, workers):
    for round_number in range(3):
        (worker,) = workers(1)
        worker.tell(f"begin w{round_number}")
        worker.tell(f"save w{round_number}")
        worker.answer()
        time.sleep(0.0005 * round_number)
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.close()
        steps = store.begin(f"w{round_number}").steps
        assert list(steps) == HISTORY[: len(steps)]
