"""Every message and every batch of every released version still decodes, to the same content."""

from pathlib import Path

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from protos.batch import decode
from tests.contract.samples import FILES, RELEASED, batches, messages
from tests.properties.batches import same

VERSIONS = sorted(path for path in RELEASED.iterdir() if path.is_dir())
KINDS = {name: GetMessageClass(kind) for file in FILES for name, kind in file.DESCRIPTOR.message_types_by_name.items()}
MESSAGES = sorted(path for version in VERSIONS for path in version.glob("*.bin"))
BATCHES = sorted(path for version in VERSIONS for path in version.glob("*.batch"))


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def unknown(message: Message) -> bool:
    """Whether anything in the message is not known any more."""
    before = message.ByteSize()
    copy = type(message)()
    copy.CopyFrom(message)
    copy.DiscardUnknownFields()
    return copy.ByteSize() != before


def test_there_are_released_versions() -> None:
    assert MESSAGES
    assert BATCHES


@pytest.mark.parametrize("path", MESSAGES, ids=name_of)
def test_message(path: Path) -> None:
    message = KINDS[path.name.split(".")[0]]()
    message.ParseFromString(path.read_bytes())
    assert message.SerializeToString(deterministic=True) == path.read_bytes()
    assert not unknown(message), "a field was removed, renumbered or has another type"


@pytest.mark.parametrize("path", BATCHES, ids=name_of)
def test_batch(path: Path) -> None:
    expected = dict(batches())
    assert same(decode(path.read_bytes()), expected[path.name])


def test_a_field_of_another_number_or_type_would_be_seen() -> None:
    """Negative control: the same bytes read as another message."""
    heartbeat = KINDS["Heartbeat"]()
    heartbeat.ParseFromString((VERSIONS[0] / "Point.bin").read_bytes())
    assert unknown(heartbeat)


def test_every_message_of_today_has_a_sample_to_release() -> None:
    assert {name.split(".")[0] for name, _ in messages()} == set(KINDS)
