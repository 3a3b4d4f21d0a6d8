"""The aggregator's configuration: one TOML file, read whole, every fault told at once.

ConfigError    lists each fault as file:line: key = value: what is wrong; what to do
"""

import tomllib
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from aggregator.access import settings as web
from aggregator.access.settings import Oidc, Web
from aggregator.decisions import policy
from aggregator.decisions.policy import Policy
from aggregator.ledger import settings as ledger
from aggregator.ledger.settings import LedgerSettings
from aggregator.limits import Limits
from aggregator.rollout import policy as rollout
from aggregator.rollout.policy import Policy as RolloutPolicy
from protos.lines import Lines

DEFAULT = Path("/etc/citytwin/aggregator.toml")
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  # hosts to listen on, not to dial
KEYS: dict[str, dict[str, type]] = {
    "aggregator": {"state_dir": str, "names": list},
    "sync": {"listen": str, "address": str},
    "enrolment": {"listen": str, "address": str},
    "history": {"retention_days": int},
    "city": {"file": str, "keep_steps": int},
    "decisions": policy.KEYS,
    "rollout": rollout.KEYS,
    "learning": {"recipes": str, "key": str, "keep": int},
    "web": web.KEYS,
    "oidc": web.OIDC_KEYS,
    "ledger": ledger.KEYS,
    "limits": {one.name: float if one.type is float else int for one in fields(Limits)},
}
WORDS = {int: "a number", float: "a number", list: "a list of texts", bool: "true or false"}
TEMPLATE = """\
# The aggregator. Every key is optional but state_dir; what is commented out shows the default.
[aggregator]
state_dir = "{state}"
names = [{names}]              # further DNS names and IP addresses in the server's certificate

[sync]                         # gateways with a certificate
listen = "{host}:7443"
{sync:30} # what gateways dial, when that is not `listen`

[enrolment]                    # gateways that want one
listen = "{host}:7444"
{enrolment:30} # what a token tells, when that is not `listen`

[history]
# retention_days = 0           # 0 keeps everything

[city]
# file = "city.toml"           # the city's twin: assets, points, couplings; `aggregator city keys` tells what is in it
# keep_steps = 8640            # of the pictures of each domain: a day of steps of 10 s

[decisions]                    # plans that become orders; `aggregator decisions` shows and approves them
# automatic = []               # domains whose plans need nobody's approval while their twin is calibrated
# person_only = []             # quantities, or "gateway/device/point" with * and ?, that always need a person
# city_wide = 0.5              # from this share of the gateways on, two persons must agree
# min_gain = 0.01              # share of what it costs without the plan; for less nothing is proposed
# approve_s = 900.0            # how old the state may be that an approved plan rests on
# order_s = 900.0              # what one order lasts at most
# watch_s = 60.0               # between one gateway, first_share of them, and all
# first_share = 0.05
# halt_share = 0.05            # share of its orders that may fail

[rollout]                      # models that reach the gateways in waves; `aggregator models rollouts` shows them
# shadow_gateways = 3          # 1 to 3 where nothing of it is applied
# first_share = 0.05           # then these, one of each district at least, and first_least = 3
# second_share = 0.25          # then these, then all
# shadow_s = 3600.0            # least time of the shadow, and wave_s = 21600.0 of each other wave
# wave_max_s = 604800.0        # what cannot be shown to be as good by then waits for a person
# device_s = 86400.0           # of one try at a gateway that is there; retries = 2 further ones
# margin = 0.05                # of (new - old) / (new + old) that error and control KPI may be worse
# commits = 0.95               # of those that decided; failures = 0.05 and rollbacks = 2 take it back everywhere
# approve = []                 # waves that wait for somebody: shadow, first, second, all
# windows = []                 # UTC, when something new may begin: "Mon-Fri 01:00-05:00"

[learning]                     # models of the gateways' twins from history; `aggregator models train`
# recipes = "models"           # the folder of recipes (*.toml) that the timer trains
# key = "model.key"            # Ed25519 in PEM that signs bundles; without it one is made in the state directory
# keep = 10                    # folders with bundle and report of each model

[web]                          # the page, and what programs ask; `aggregator users invite` lets somebody in
listen = "127.0.0.1:7480"      # "" is none of it; beyond this machine with a certificate only
# public = []                  # what residents see at /public: "environment/pm25", "traffic/*"; [] is no such page
# public_delay_s = 600.0       # so much later than operators
# certificate = "web.pem"      # and key = "web.key": TLS
# name = "https://twin.example.org"     # what browsers call it, when that is not `listen`
# contexts_dir = "contexts"    # @contexts of the NGSI-LD API beside those that are shipped; none is ever downloaded

[oidc]                         # people who sign in elsewhere; their way back to us is NAME/api/v1/oidc/callback
# issuer = "https://id.example.org/realms/city"
# client_id = "citytwin"
# secret_file = "oidc.secret"
# authority = ""               # PEM of who vouches for its certificate, when browsers do not know them
# name_claim = "preferred_username"
# role_claim = "groups"        # dots lead into objects, as realm_access.roles
# operators = ["control-room"] # words of it; as well admins, engineers, auditors, viewers

[ledger]                       # the record that nobody can rewrite; `aggregator ledger` shows it
# origin = ""                  # its name for ever, as twin.example.org/ledger; one is made of its key
# policy = "witnesses.policy"  # whose cosignatures count (`aggregator ledger policy`); else half the gateways
# checkpoint_s = 60.0          # between two signatures

[limits]
# gateways = 2000
# window_batches = 64
# batches_per_s = 200.0        # of one gateway, on average
"""


class ConfigError(Exception):
    """Every fault of the file, one a line."""


@dataclass(frozen=True, slots=True)
class Config:
    path: Path
    state_dir: Path
    names: tuple[str, ...] = ()
    sync_listen: str = "127.0.0.1:7443"
    sync_address: str = ""  # empty: what is listened on
    enrolment_listen: str = "127.0.0.1:7444"
    enrolment_address: str = ""
    retention_days: int = 0  # 0: for ever
    limits: Limits = field(default_factory=Limits)
    city: Path | None = None  # the city file
    keep_steps: int = 8_640  # of the pictures of each domain
    decisions: Policy = field(default_factory=Policy)
    rollout: RolloutPolicy = field(default_factory=RolloutPolicy)
    web: Web = field(default_factory=Web)
    oidc: Oidc = field(default_factory=Oidc)
    record: LedgerSettings = field(default_factory=LedgerSettings)  # [ledger]
    recipes: Path | None = None  # the folder of what models are learned from
    model_key: Path | None = None  # None: one of our own, in the state directory
    keep_models: int = 10

    @property
    def catalogue(self) -> Path:
        return self.state_dir / "catalogue.sqlite"

    @property
    def log(self) -> Path:
        return self.state_dir / "log.sqlite"

    @property
    def history(self) -> Path:
        return self.state_dir / "history"

    @property
    def twin(self) -> Path:
        """What is kept of the live city."""
        return self.state_dir / "city.sqlite"

    @property
    def access(self) -> Path:
        """Users, one-time links, sessions and tokens."""
        return self.state_dir / "access.sqlite"

    @property
    def scenarios(self) -> Path:
        """Scenarios that were run, and what became of them."""
        return self.state_dir / "scenarios.sqlite"

    @property
    def ledger(self) -> Path:
        """The ledger's folder."""
        return self.state_dir / "ledger"

    @property
    def learned(self) -> Path:
        """What was learned: a table of models, a folder for each, the key that signs them."""
        return self.state_dir / "models"

    @property
    def ca(self) -> Path:
        return self.state_dir / "ca"

    @property
    def fleet(self) -> Path:
        return self.state_dir / "fleet.json"

    @property
    def endpoints(self) -> Path:
        """Where the running server says on which ports it listens."""
        return self.state_dir / "endpoints.json"


def argument(parser: ArgumentParser, *, again: bool = False) -> None:
    """The option by which every verb but `serve` and `init` finds the configuration; `again` behind an act of it."""
    default = SUPPRESS if again else DEFAULT
    parser.add_argument("-c", "--config", type=Path, default=default, help=f"the configuration file ({DEFAULT})")


def load(path: Path) -> Config:
    """Raises ConfigError, and PermissionError where this user may not read it."""
    try:
        text = path.read_text()
        content = tomllib.loads(text)
    except PermissionError:
        raise  # the command line says whose it is
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: {error.strerror}; `aggregator init DIR` makes one") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no TOML: {error}") from error
    if faults := list(_faults(path, Lines(text), content)):
        raise ConfigError("\n".join(faults))
    part = {name: content.get(name, {}) for name in KEYS}
    plain = Config(path, Path(part["aggregator"]["state_dir"]))
    return Config(
        path,
        (path.parent / plain.state_dir).resolve(),
        tuple(part["aggregator"].get("names", ())),
        part["sync"].get("listen", plain.sync_listen),
        part["sync"].get("address", ""),
        part["enrolment"].get("listen", plain.enrolment_listen),
        part["enrolment"].get("address", ""),
        part["history"].get("retention_days", 0),
        Limits(**part["limits"]),
        (path.parent / part["city"]["file"]).resolve() if "file" in part["city"] else None,
        part["city"].get("keep_steps", plain.keep_steps),
        policy.of(part["decisions"]),
        rollout.of(part["rollout"]),
        web.of(part["web"], path.parent),
        web.oidc_of(part["oidc"], path.parent),
        ledger.of(part["ledger"], path.parent),
        recipes=_beside(path, part["learning"].get("recipes", "")),
        model_key=_beside(path, part["learning"].get("key", "")),
        keep_models=part["learning"].get("keep", plain.keep_models),
    )


def _beside(path: Path, name: str) -> Path | None:
    """What the file names, from where the file is."""
    return (path.parent / name).resolve() if name else None


def template(state_dir: Path, host: str, names: Sequence[str]) -> str:
    """A configuration to begin with. A server that listens everywhere tells gateways to dial the first of `names`."""
    known = host in EVERYWHERE and names
    address = f'address = "{bracketed(names[0])}:' if known else '# address = "host:'
    quoted = ", ".join(f'"{one}"' for one in names)
    ports = {"sync": f'{address}7443"', "enrolment": f'{address}7444"'}
    return TEMPLATE.format(state=state_dir, host=bracketed(host), names=quoted, **ports)


def bracketed(host: str) -> str:
    """As it stands before a port: an IPv6 address in brackets (RFC 3986)."""
    return f"[{host}]" if ":" in host else host


def everywhere(address: str) -> bool:
    """Whether a server may listen on this host:port, but nobody can dial it."""
    return address.rpartition(":")[0].strip("[]") in EVERYWHERE


def _faults(path: Path, lines: Lines, content: Mapping[str, Any]) -> Iterator[str]:
    for section, keys in content.items():
        if section not in KEYS or not isinstance(keys, dict):
            yield f"{path}:{lines[(section,)]}: [{section}]: no such section; there are {', '.join(KEYS)}"
            continue
        for key, value in keys.items():
            if fault := _fault(section, key, value):
                yield f"{path}:{lines[section, key]}: {section}.{key} = {value!r}: {fault}"
    for name in ("sync", "enrolment"):
        part = content.get(name, {})
        listen = part.get("listen", "") if isinstance(part, dict) else ""
        if isinstance(listen, str) and _is_address(listen) and everywhere(listen) and not part.get("address"):
            yield (
                f"{path}:{lines[name, 'listen']}: {name}.listen = {listen!r}: gateways cannot dial that; "
                f'add what they dial: address = "twin.example.org{listen[listen.rindex(":") :]}"'
            )
    for name, judge in (("web", web.fault), ("oidc", web.oidc_fault)):
        asked = content.get(name, {})
        if isinstance(asked, dict) and (wrong := judge(asked)):
            key, why = wrong
            yield f"{path}:{lines[name, key]}: {name}.{key} = {asked.get(key)!r}: {why}"
    if "state_dir" not in content.get("aggregator", {}):
        yield f"{path}:1: aggregator.state_dir is missing: name the directory that `aggregator init` made"


def _fault(section: str, key: str, value: object) -> str:
    wanted = KEYS[section].get(key)
    if wanted is None:
        return f"no such key; there are {', '.join(KEYS[section])}"
    if isinstance(value, bool) is not (wanted is bool) or not isinstance(
        value, (int, float) if wanted is float else wanted
    ):
        return f"write {WORDS.get(wanted, 'a text')}"
    if isinstance(value, list) and not all(isinstance(one, str) and one for one in value):
        return 'write a list of texts: ["twin.example.org"]'
    nothing = section == "web" and not value
    if key in ("listen", "address") and isinstance(value, str) and not (_is_address(value) or nothing):
        return "write host:port, the port from 0 to 65535"
    checked = {"decisions": policy.fault, "rollout": rollout.fault, "ledger": ledger.fault}.get(section)
    if checked is not None and (wrong := checked(key, value)):
        return wrong
    if isinstance(value, (int, float)) and (value < 0 or (section == "limits" and value == 0)):
        return "write a number greater than 0" if section == "limits" else "write 0 or more"
    return ""


def _is_address(value: str) -> bool:
    host, _, port = value.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and int(port) < 65536
