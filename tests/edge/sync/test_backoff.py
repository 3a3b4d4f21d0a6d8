from edge_agent.sync.backoff import BASE_S, CAP_S, FINAL_CAP_S, Backoff


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    backoff = Backoff(draw=lambda: 1.0)
    waits = [backoff.next_s() for _ in range(40)]
    assert waits[:4] == [BASE_S, 2 * BASE_S, 4 * BASE_S, 8 * BASE_S]
    assert waits[-1] == max(waits) == CAP_S


def test_jitter_is_full() -> None:
    assert Backoff(draw=lambda: 0.0).next_s() == 0.0
    backoff = Backoff()
    waits = [Backoff.next_s(backoff) for _ in range(400)][10:]
    assert min(waits) < 0.2 * CAP_S < 0.8 * CAP_S < max(waits) <= CAP_S


def test_success_begins_anew() -> None:
    backoff = Backoff(draw=lambda: 1.0)
    for _ in range(9):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == BASE_S


def test_a_final_refusal_is_spread_widely_at_once() -> None:
    assert Backoff(draw=lambda: 1.0).next_s(final=True) == FINAL_CAP_S
