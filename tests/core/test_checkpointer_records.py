"""Headers and steps as bytes, and back."""

import subprocess
import sys

FIRST_READS = """
import sys, threading
from hypergraph.checkpointers.base import PendingAnswer, Workflow, WorkflowStatus
from hypergraph.checkpointers.records import Records
from hypergraph.serialization import JsonSerializer

records = Records(JsonSerializer(), "here")
written = Workflow("w", WorkflowStatus.RUNNING, None, "hash", {"node": "digest"}, "run")
data = records.dump_header(written, b"12345678")
sys.setswitchinterval(1e-6)
together, found = threading.Barrier(8), []

def read():
    together.wait()
    found.append(records.load_header("w", data)[0])

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert found == [written] * 8
"""


def test_the_first_headers_of_a_process_may_be_read_by_several_threads_at_once():
    """What reads a struct is worked out at first use, which crashed the process in two threads."""
    command = [sys.executable, "-c", FIRST_READS]
    for _ in range(5):
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
