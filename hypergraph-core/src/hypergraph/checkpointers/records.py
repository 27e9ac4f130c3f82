"""Headers and steps as bytes, and back.

Rule of this file: the bytes of a step hold for one place in one workflow: what it is, where it stands
and a salt that no other workflow has are the context of its values, so nothing can be swapped or
altered unseen. What a step is can be read without its values.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

import msgspec

from hypergraph.checkpointers import refusals
from hypergraph.checkpointers.base import StepKind, StepRecord, Workflow
from hypergraph.errors import InvalidSignatureError
from hypergraph.serialization import Serializer

SALT_SIZE = 8  # bytes

StepRow = tuple[int, bytes, bytes]  # index, what it is, its values


StepInfo = tuple[int, str, int, str, StepKind, float]
"""What a step is, without its place and its values: superstep, scope, generation, node, kind, time."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StepInfo).decode
# msgspec works out how to read a struct when it first does, and crashes if two threads do so at once.
# What this builds is kept with the class; the import is made by one thread.
msgspec.json.Decoder(Workflow)


def new_salt() -> bytes:
    """Return what tells the steps of one workflow from those of all others."""
    return secrets.token_bytes(SALT_SIZE)


def supersteps_of(info: bytes | None) -> int:
    """Return how many supersteps a history has whose last step is this one. Raises ``ValueError``."""
    return 0 if info is None else _decode(info)[0] + 1


class Records:
    """Writes and reads with one serializer. ``place``: the store, for messages."""

    __slots__ = ("_serializer", "_place")

    def __init__(self, serializer: Serializer, place: str) -> None:
        self._serializer = serializer
        self._place = place

    # -- headers -------------------------------------------------------------------------------

    def dump_header(self, workflow: Workflow, salt: bytes) -> bytes:
        """Return the bytes of a header."""
        fields = msgspec.to_builtins(workflow)
        del fields["held"], fields["supersteps"]
        fields |= {"pauses": list(fields["pauses"]), "salt": salt.hex()}
        return self._serializer.dumps(fields, _header(workflow.id))

    def load_header(self, workflow_id: str, data: Any) -> tuple[Workflow, bytes]:
        """Return the header, its ``steps`` as they were when it was written, and the salt.

        Raises `CheckpointError`.
        """
        try:
            fields = self._serializer.loads(data, _header(workflow_id))
            salt = bytes.fromhex(fields.pop("salt"))
            workflow = msgspec.convert(fields, Workflow)
            if workflow.id != workflow_id or len(salt) != SALT_SIZE:
                raise ValueError("another workflow's")
        except InvalidSignatureError as error:
            problem = "The header was not signed with the store's key"
            raise refusals.damaged(workflow_id, self._place, problem) from error
        except Exception as error:
            problem = f"The header is not one that was written ({type(error).__name__})"
            raise refusals.damaged(workflow_id, self._place, problem) from error
        return workflow, salt

    # -- steps ---------------------------------------------------------------------------------

    def dump_step(self, salt: bytes, step: StepRecord) -> StepRow:
        """Return the row of a step. Raises `UnstorableValueError`."""
        info = _encode(
            (step.superstep, step.scope, step.generation, step.node_name, step.kind, step.time)
        )
        context = salt + step.index.to_bytes(4, "big") + info
        values = step.values
        if step.kind is StepKind.GATE:
            values = list(values)  # JSON has no tuples
        try:
            return step.index, info, self._serializer.dumps(values, context)
        except Exception as error:
            raise self._unstorable(step, error) from error

    def load_steps(
        self, workflow_id: str, salt: bytes, rows: Iterable[StepRow]
    ) -> list[StepRecord]:
        """Return the steps, which have to be all from the first on. Raises `CheckpointError`."""
        loads = self._serializer.loads
        steps: list[StepRecord] = []
        add = steps.append
        info: StepInfo | None = None
        expected = 0
        gate = StepKind.GATE
        try:
            for index, data, payload in rows:
                if index != expected or type(payload) is not bytes:
                    raise ValueError("a step is missing or altered")
                superstep, scope, generation, node, kind, when = info = _decode(data)
                values = loads(payload, salt + index.to_bytes(4, "big") + data)
                if kind is gate:
                    values = tuple(values)
                add(StepRecord(index, superstep, scope, generation, node, kind, values, when))
                expected += 1
                info = None
        except InvalidSignatureError as error:
            problem = f"Step {expected} was not signed with the store's key for its place"
            raise refusals.damaged(workflow_id, self._place, problem) from error
        except Exception as error:
            if info is not None:
                step = StepRecord(expected, *info[:5], None, info[5])
                raise refusals.unreadable(step, workflow_id, self._place, error) from error
            problem = f"Step {expected} is missing or is not one that was written"
            raise refusals.damaged(workflow_id, self._place, problem) from error
        return steps

    def _unstorable(self, step: StepRecord, error: Exception) -> Exception:
        """Find the value that the serializer does not take."""
        values = step.values
        for name, value in values.items() if isinstance(values, dict) else ():
            try:
                self._serializer.dumps({name: value}, b"")
            except Exception as own:
                return refusals.unstorable(step, str(name), value, own)
        return refusals.unstorable(step, "", values, error)


def _header(workflow_id: str) -> bytes:
    return b"workflow " + workflow_id.encode()
