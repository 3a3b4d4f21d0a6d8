"""The caller's side of the local socket, for the verbs of `edge-agent`.

LocalError
├── NotThere    no agent listens, or not to us; says what to do
└── Refused     the agent said no; says what is allowed
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from edge_agent.local.status import short
from protos import local_pb2 as pb
from protos.local_pb2_grpc import LocalStub

ANSWER_S = 5.0


class LocalError(Exception):
    """What was asked of a running agent was not done."""


class NotThere(LocalError):
    """Nobody listens at the socket."""


class Refused(LocalError):
    """The agent does not do that."""


class Agent:
    """A running agent, asked through its socket. Raises LocalError."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = LocalStub(channel)

    def override(self, output: str, value: float, seconds: int, who: str, why: str) -> None:
        request = pb.OverrideRequest(output=output, value=value, seconds=seconds, who=who, why=why)
        self._stub.Override(request, timeout=ANSWER_S)

    def release(self, output: str, who: str) -> None:
        self._stub.Release(pb.ReleaseRequest(output=output, who=who), timeout=ANSWER_S)


@contextmanager
def connect(socket: Path) -> Iterator[Agent]:
    """The agent at `socket`; errors of gRPC inside become ours."""
    try:
        with short(socket.parent, socket.name) as address, grpc.insecure_channel(f"unix:{address}") as channel:
            yield Agent(channel)
    except FileNotFoundError:
        raise NotThere(f"{socket}: not there: is the agent running? edge-agent status") from None
    except grpc.RpcError as error:
        code, details = error.code(), error.details()
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise NotThere(f"{socket}: nobody answers: is the agent running, and may you? sudo helps") from error
        raise Refused(details) from error
