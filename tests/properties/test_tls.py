"""Names and tokens: what is written is read, and nothing else is taken for it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protos import tls

IDS = st.from_regex(tls.GATEWAY_ID, fullmatch=True)
TEXTS = st.text(min_size=1, max_size=60)


@given(IDS)
def test_an_id_is_its_uri(gateway: str) -> None:
    assert tls.gateway_of([tls.gateway_uri(gateway), "urn:other"]) == gateway
    assert tls.gateway_of([tls.gateway_uri(gateway)] * 2) is None


@given(st.text())
@example("gw-1\n")
@example("../a")
@example("")
def test_no_other_text_is_an_id(text: str) -> None:
    if not tls.GATEWAY_ID.fullmatch(text):
        with pytest.raises(tls.TlsError):
            tls.gateway_uri(text)
        assert tls.gateway_of([tls.GATEWAY_PREFIX + text]) is None


@given(TEXTS, IDS, TEXTS, TEXTS)
def test_a_token_is_one_line_and_reads_back(address: str, gateway: str, secret: str, root: str) -> None:
    one = tls.Token(address, gateway, secret, root)
    line = one.encode()
    assert len(line.split()) == 1
    if len(line) <= tls.TOKEN_BYTES_MAX:
        assert tls.Token.decode(f"  {line}\n") == one
    assert "secret=…" in repr(one)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
@example("e30")
@example("W10")
@example("bnVsbA")
@example("x" * 5_000)
def test_anything_else_is_told(line: str) -> None:
    with pytest.raises(tls.TlsError):
        tls.Token.decode(line)


@given(st.binary(max_size=300))
def test_no_chain_is_told(pem: bytes) -> None:
    with pytest.raises(tls.TlsError):
        tls.load_chain(pem)
