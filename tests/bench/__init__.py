"""`make bench`: every figure we quote, each with its goal, and the partner measured beside it in the same run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FIGURES: dict[str, str] = {  # figure → one line; its module is tests/bench/<figure with _>.py: run(scale) → Figures
    "poll": "50 devices × 100 registers at 1 Hz, wire to aggregator; thingsboard-gateway beside it; memory",
    "poll-flat": "the same flat out, wire to durable buffer",
    "kills": "kill -9 at random points of agent, aggregator, both; restart to first commit",
    "cuts": "the link refused, a black hole, refused and the agent killed: lost, duplicated, dead peer seen",
    "clocks": "machines that believe 1970, a month ago, next year, or jump by an hour",
    "int8-step": "one int8 step through Python, alone and in a batch of 64; bare LiteRT beside it",
    "drain": "a backlog over the real link to a real aggregator, live readings beside it; a slow line too",
    "ingest": "aggregator durable ingest over mTLS, and the memory of 1,000 gateways",
    "history": "readings put into segments, their bytes, a day of a point; rows beside it",
    "certificates": "wrong certificates refused, revocation seen live",
    "loop": "late ticks of the control loop while disk, link, devices, broker and clock go wrong",
    "roundtrip": "from a changed register through twin and decision to the actuator; a bare client beside it",
    "sensors": "every way that a sensor fails × every controller: did it do what it declares; careless ones beside",
    "mpc": "one decision of the sampling MPC on an int8 twin, 64 candidates × 10 steps; the bare network beside it",
    "buffer-bytes": "bytes written to disk per reading, whole life",
    "ledger-append": "100,000 entries of the ledger: rate, bytes, cosignatures, receipts; a plain list beside it",
    "ledger-tamper": "random edits, deletions, reorders, tail cuts and forks of the ledger: found; without a witness",
    "outage": "72 h without the aggregator: stored, then drained beside live readings",
    "powercuts": "states of the disk after power cuts, each opened",
    "mqtt-ack": "MQTT messages lost in a crash, acknowledged after the commit or on receipt; the rate of a flood",
    "failsafe": "central lost, twin without numbers, agent hung or killed: when each output is safe; without a TTL",
    "bad-models": "damaged, crafted and wrong models brought to a gateway that acts; loading them as they come",
    "bitflips": "bits flipped and files cut short in a gateway's state directory",
    "bus": "10 units on one RTU line, one dead: the rate of the others; pymodbus beside it",
    "late-replies": "RTU and TCP lines with late, garbled and repeated answers: values from the wrong register",
    "modbus-codec": "values per CPU-second of polling alone; pymodbus beside it",
    "codec": "what a batch and its cleaning cost: bytes on the wire, time; JSON beside",
    "fuse": "one step of the city's state: 10,000 and 100,000 states, localised; the mean alone to a million",
    "late-data": "an hour of one gateway's late readings fused again; any order against in order",
    "fuzz": "mutated inputs for every parser of what comes from outside",
    "diskfull": "a full disk for minutes",
    "orders": "hostile orders at a gateway that is killed again and again: twice, late, forged, for others",
    "energy-estimate": "two SimBench grids from few meters; WLS beside; what a rolling plan saves against a timer",
    "n-1": "the loss of every line of a medium-voltage grid, full power flows; pandapower beside",
    "ensemble": "1,000 members of a load ensemble, each with its power flow",
    "junction": "an intersection in SUMO driven through Modbus by an agent; fixed, actuated, max-pressure beside it",
    "air-kriging": "PM2.5 in Beijing, each of 12 stations held out in turn; forecasts; interpolation and persistence",
    "rollout-good": "pumps wear, NIS rises, a model learned anew from history reaches every gateway through the waves",
    "rollout-bad": "poisoned models: caught, back everywhere, the levels in their band; without gates beside it",
    "route": "the fastest way on 20,000 crossings with times that are new for every question; networkx beside it",
    "routing": "collection routes: X-n101-k25 against the best known; a nearest-neighbour tour beside",
    "siting": "where depots stand: pmed1 and pmed5 to the proven optimum; swaps beside, and above 500 sites",
    "leak": "seeded leaks in L-Town by pressures that lack something; the sensor that fell most beside",
    "alarms": "seeded incidents in a city: precision, recall, lead time, false alarms a day, by kind and by detector",
    "traffic-density": "density on links without detectors, 30 % of them metered, in SUMO; interpolation beside it",
    "map-live": "20,000 links on the map: register to screen with 50 viewers, first view, frames a second, bytes",
    "api-fuzz": "fuzzed requests over the real server: answers of 5xx; a route that fails is found",
    "access-matrix": "every route × every role; what is over, forged, or sent by another site",
    "int8-parity": "residual networks trained here: free run of int8 against floating point, size of the files",
    "tanks": "Cascaded Tanks in free run: what the gate chooses among physics, linear twins and a network",
    "ngsi-ld": "clauses of the NGSI-LD API shown by tests over HTTP; entities upserted and queries answered",
    "traffic-control": "three junctions in SUMO: a centre above the edge's laws; the same laws alone beside it",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One JSON line. `goal` is the issue's own words, `ok` whether it was met, `beside` the partner's figures."""

    name: str
    figure: float
    unit: str
    goal: str
    ok: bool
    beside: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
