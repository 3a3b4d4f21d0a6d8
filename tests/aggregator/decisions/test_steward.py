"""A decision's course through the real store: who must agree, one gateway first, halts, ends, all-stop, the audit."""

from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.decisions import Refused
from aggregator.decisions.decision import Decision, State, packed, stages, unpacked
from aggregator.decisions.policy import Policy
from aggregator.decisions.steward import row_of
from aggregator.stores import StoreError
from protos.clock import NS
from tests.aggregator.decisions.table import BAD, NOW_NS, POLICY, Table, decided, gateway


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def of(table: Table, name: str = "d-1") -> Decision:
    return unpacked(table.decisions.get(name).content)


def given(table: Table) -> list[str]:
    return [row.gateway for row in reversed(table.orders.newest()) if not row.stops]


def approved(table: Table, by: str) -> None:
    row = table.decisions.get("d-1")
    one = unpacked(row.content).approve(by, table.clock.wall_ns())
    assert table.decisions.change(row_of(one, row.version), by, "approve", "")


async def test_a_plan_that_is_automatic_goes_its_whole_course(table: Table) -> None:
    table.put(decided(20))
    await table.tick()
    assert of(table).state is State.APPROVED
    await table.tick()
    assert (of(table).state, given(table)) == (State.DISPATCHED, [gateway(0)])
    await table.tick(30)
    table.answer()
    await table.tick(29)
    assert given(table) == [gateway(0)]
    await table.tick(1)  # 5 % of 20 are the one that was first: the second stage is all of them
    assert given(table) == [gateway(i) for i in range(20)]
    table.answer("accepted")
    await table.tick(1)
    assert of(table).state is State.ACKNOWLEDGED
    table.answer("clamped")
    await table.tick(1)
    assert of(table).state is State.EFFECTIVE
    await table.tick(600)
    assert len(given(table)) == 40  # the second window
    assert not of(table).over
    await table.tick(3 * 86_400)
    assert of(table).over
    acts = [one.act for one in table.catalogue.audit() if one.subject == "d-1"]
    assert acts[:3] == ["propose", "approved", "dispatched"]
    assert {"acknowledged", "effective"} <= set(acts)


async def test_a_hundred_gateways_grow_from_one_to_five_to_all() -> None:
    assert stages(100, 0.05) == (1, 5, 100)
    assert stages(1, 0.05) == (1,)
    assert stages(30, 0.05) == (1, 2, 30)


async def test_city_wide_takes_two_persons(table: Table) -> None:
    table.put(decided(40))
    assert of(table).needs.persons == 2
    await table.tick()
    approved(table, "ada")
    await table.tick(1)
    assert (of(table).state, given(table)) == (State.PROPOSED, [])
    with pytest.raises(Refused, match="ada has approved it already"):
        of(table).approve("ada", table.clock.wall_ns())
    approved(table, "bo")
    await table.tick(1)
    assert of(table).state is State.DISPATCHED


@pytest.mark.parametrize("name", ["", "  ", "policy", "x" * 101])
def test_who_approves_has_a_name(name: str) -> None:
    with pytest.raises(Refused, match="no person's name"):
        decided(2).approve(name, NOW_NS)


async def test_nothing_is_automatic_without_calibration(table: Table) -> None:
    table.verdict = BAD
    table.put(decided(2))
    await table.tick()
    assert of(table).state is State.PROPOSED
    approved_by_hand = of(table).approve("ada", NOW_NS)  # a person may all the same
    assert approved_by_hand.state is State.APPROVED
    await table.tick(900)
    assert (of(table).state, of(table).reason) == (State.EXPIRED, "nobody approved it in time")


async def test_calibration_lost_between_approval_and_order(table: Table) -> None:
    table.put(decided(2))
    await table.tick()
    table.verdict = BAD
    await table.tick()
    assert of(table).state is State.REJECTED
    assert "NIS/m is 4.00" in of(table).reason
    assert given(table) == []


@pytest.mark.parametrize("pattern", ["percentage", "gw-00/pump/valve", "gw-*/pump/*"])
def test_what_is_for_persons_only_is_never_automatic(pattern: str) -> None:
    policy = replace(POLICY, person_only=(pattern,))
    assert decided(2, policy).needs.persons == 1
    assert decided(2, Policy()).needs.persons == 1
    assert decided(2, POLICY).needs.persons == 0


async def test_a_stricter_policy_counts_for_what_was_proposed_before(table: Table) -> None:
    table.put(decided(2))
    await table.tick()
    table.policy = Policy()
    table.kill()
    await table.tick()
    assert of(table).state is State.REJECTED
    assert "not automatic by policy" in of(table).reason


@pytest.mark.parametrize("fate", ["rejected", "undelivered", "unknown"])
async def test_it_halts_when_the_first_gateway_fails(table: Table, fate: str) -> None:
    table.put(decided(20))
    for _ in range(2):
        await table.tick()
    table.answer(fate, reason="interlock")
    await table.tick(1)
    assert of(table).state is State.REJECTED
    assert f"1 of 1 orders failed, first {gateway(0)}/pump/valve {fate}: interlock" in of(table).reason
    await table.tick(120)
    assert given(table) == [gateway(0)]


async def test_few_failures_among_many_do_not_halt_it(table: Table) -> None:
    table.put(decided(30, replace(POLICY, city_wide=1.0)))
    for _ in range(8):
        await table.tick(61)
        if len(given(table)) < 30:
            table.answer()
    assert len(given(table)) >= 30
    table.answer("rejected", only=[gateway(9)])
    table.answer()
    await table.tick(1)
    assert of(table).state is State.EFFECTIVE


async def test_a_halt_takes_back_what_it_gave_but_nobody_elses(table: Table) -> None:
    table.put(decided(2))
    for _ in range(2):
        await table.tick()
    table.answer()
    await table.tick(61)
    await table.tick()
    table.answer()
    assert sorted(given(table)) == [gateway(0), gateway(1)]
    table.orders.give(gateway(1), "pump/valve", 0.0, 600 * NS, "kim", table.clock.wall_ns(), emergency=True)
    table.verdict = BAD
    await table.tick(1)
    assert of(table).reason.startswith("halted: calibration lost")
    stops = [row for row in table.orders.newest() if row.stops]
    assert [(row.gateway, row.issuer) for row in stops] == [(gateway(0), "decision d-1")]
    assert [row.fate for row in table.orders.newest() if row.issuer == "kim"] == ["waiting"]


async def test_an_all_stop_revokes_every_decision(table: Table) -> None:
    for name in ("d-1", "d-2", "d-3"):
        table.put(replace(decided(2), id=name))
    table.put(decided(40, name="d-4"))
    await table.tick()
    await table.tick()
    table.orders.stop([gateway(1)], "kim", table.clock.wall_ns(), "smoke")
    await table.tick(1)
    assert {one.state for one in table.decisions.newest()} == {"rejected"}
    assert of(table, "d-4").reason == "all-stop: kim smoke"
    count = len(given(table))
    await table.tick(61)
    assert len(given(table)) == count
    later = replace(decided(2), id="d-5", proposed_ns=table.clock.wall_ns())
    table.put(later)
    await table.tick()
    assert of(table, "d-5").state is State.APPROVED


async def test_nothing_begins_with_a_state_that_is_too_old(table: Table) -> None:
    table.put(decided(2))
    await table.tick()
    await table.tick(900)
    assert (of(table).state, of(table).reason) == (State.EXPIRED, "it was not begun in time")
    with pytest.raises(Refused, match="too late"):
        decided(2).approve("ada", NOW_NS + 900 * NS)


async def test_what_nobody_carries_out_expires(table: Table) -> None:
    table.put(decided(2))
    for _ in range(2):
        await table.tick()
    await table.tick(1201)
    assert (of(table).state, of(table).over) == (State.EXPIRED, True)


async def test_who_takes_an_output_over_is_not_overridden_by_later_windows(table: Table) -> None:
    table.put(decided(1))
    for _ in range(2):
        await table.tick()
    table.answer()
    await table.tick(1)
    table.answer()
    rows = [row for row in table.orders.newest() if not row.stops]
    table.orders.set(rows[0].id, "superseded", "kim", NOW_NS)
    await table.tick(600)
    assert len(given(table)) == 1


async def test_what_cannot_be_ordered_ends_it(table: Table) -> None:
    table.put(decided(2))
    await table.tick()
    with table.catalogue.act(NOW_NS, "test", "revoke", gateway(0)):
        table.catalogue.put_gateway(gateway(0), "revoked", NOW_NS)
    await table.tick()
    assert of(table).state is State.REJECTED
    assert "no such gateway" in of(table).reason


async def test_two_that_look_at_once_order_once(table: Table) -> None:
    table.put(decided(2))
    await table.tick()
    (row,) = table.decisions.open()
    for _ in range(2):
        table.steward.look(row, {}, 40)  # both have read the same
    assert given(table) == [gateway(0)]
    with pytest.raises(StoreError, match="no such decision"):
        table.decisions.get("d-9")


def test_a_decision_is_kept_whole() -> None:
    one = decided(3).approve("ada", NOW_NS + 1)
    one = replace(one, accepted=frozenset({1, 2}), applied=frozenset({1}), gained=0.5)
    assert unpacked(packed(one)) == one
    with pytest.raises(Refused, match="is approved; only what is proposed"):
        one.approve("bo", NOW_NS + 2)
    assert one.reject("bo", "the street is full", NOW_NS + 2).reason == "bo: the street is full"
