"""The authority's files: never overwritten, never readable by others, refused when they do not fit."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aggregator.security import authority, certificates
from aggregator.security.authority import AuthorityError, OwnAuthority
from protos import tls

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_made_once(tmp_path: Path) -> None:
    made = authority.create(tmp_path / "ca", NOW)
    assert OwnAuthority.load(tmp_path / "ca").intermediate == made.intermediate
    for name in ("root.key", "intermediate.key"):
        assert stat.S_IMODE((tmp_path / "ca" / name).stat().st_mode) == 0o600
    with pytest.raises(AuthorityError, match="never overwritten"):
        authority.create(tmp_path / "ca", NOW)


def test_the_root_can_be_elsewhere(tmp_path: Path) -> None:
    authority.create(tmp_path / "ca", NOW, tmp_path / "stick")
    assert not (tmp_path / "ca" / "root.key").exists()
    own = OwnAuthority.load(tmp_path / "ca")
    renewed = authority.renew_intermediate(tmp_path / "ca", tmp_path / "stick" / "root.key", NOW + timedelta(days=900))
    assert renewed.intermediate != own.intermediate
    assert renewed.former == (own.intermediate,)
    leaf = own.gateway(certificates.new_key().public_key(), "gw-1", NOW + timedelta(days=890))
    assert authority.issuer_of(leaf, renewed) == own.intermediate  # what the old one signed stays good
    with pytest.raises(tls.NotTrusted):
        authority.issuer_of(leaf, authority.create(tmp_path / "other", NOW))


def test_two_installations_share_nothing(tmp_path: Path) -> None:
    one, two = authority.create(tmp_path / "1", NOW), authority.create(tmp_path / "2", NOW)
    assert one.root != two.root
    assert one.key.public_key() != two.key.public_key()


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    ca, other = tmp_path / "ca", tmp_path / "other"
    for folder in (ca, other):
        authority.create(folder, NOW)
    good = (ca / "intermediate.key").read_bytes()
    authority.write_secret(ca / "intermediate.key", (other / "intermediate.key").read_bytes())
    with pytest.raises(AuthorityError, match="not the key of"):
        OwnAuthority.load(ca)
    authority.write_secret(ca / "intermediate.key", good)
    (ca / "root.pem").write_bytes((other / "root.pem").read_bytes())
    with pytest.raises(AuthorityError, match="did not sign"):
        OwnAuthority.load(ca)
    (ca / "intermediate.key").chmod(0o640)
    with pytest.raises(AuthorityError, match="chmod 600"):
        OwnAuthority.load(ca)
    (ca / "intermediate.key").unlink()
    with pytest.raises(AuthorityError, match="restore"):
        OwnAuthority.load(ca)


def test_a_leaf_never_outlives_its_issuer(tmp_path: Path) -> None:
    own = authority.create(tmp_path / "ca", NOW)
    late = own.intermediate.not_valid_after_utc - timedelta(days=3)
    leaf = own.gateway(certificates.new_key().public_key(), "gw-1", late)
    assert leaf.not_valid_after_utc == own.intermediate.not_valid_after_utc


def test_the_server_is_known_by_name_and_address(tmp_path: Path) -> None:
    own = authority.create(tmp_path / "ca", NOW)
    leaf = own.server(certificates.new_key().public_key(), ["127.0.0.1", "::1", "twin.example.org"], NOW)
    tls.check_server([leaf, own.intermediate], own.root, NOW)
    with pytest.raises(tls.NotTrusted):
        tls.check_server([leaf, own.intermediate], own.root, NOW + timedelta(days=100))
