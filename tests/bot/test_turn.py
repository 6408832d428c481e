"""Those who answer people compute one after the other, and nobody waits for somebody who waits for the network."""

import threading

from bot.turn import Turn


def test_two_who_take_turns_are_never_at_it_together() -> None:
    turn, inside, most = Turn(), [0], [0]

    def work() -> None:
        for _ in range(200):
            with turn.taken():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == ([0], [1])


def test_a_turn_within_a_turn_is_the_same() -> None:
    turn = Turn()
    with turn.taken():
        with turn.taken():
            pass
        assert not free(turn)
    assert free(turn)


def test_who_steps_aside_lets_another_have_it_and_takes_it_again() -> None:
    turn = Turn()
    with turn.taken():
        with turn.aside():
            assert free(turn)
        assert not free(turn)
    with turn.aside():  # whoever never took it gives nothing away
        assert free(turn)


def test_what_goes_wrong_gives_the_turn_back() -> None:
    turn = Turn()
    for what in (turn.taken, turn.aside):
        try:
            with turn.taken(), what():
                raise KeyError
        except KeyError:
            pass
        assert free(turn)


def free(turn: Turn) -> bool:
    """Whether another thread gets it at once."""
    got: list[bool] = []

    def look() -> None:
        got.append(turn._lock.acquire(blocking=False))
        if got[0]:
            turn._lock.release()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return got[0]


def test_who_waits_while_it_is_wanted_goes_on_when_it_is_given_back_or_after_so_long() -> None:
    turn, went_on, has_it, give_it = Turn(), threading.Event(), threading.Event(), threading.Event()

    def have_it() -> None:
        with turn.taken():
            has_it.set()
            give_it.wait(60)

    def wait_for_it() -> None:
        turn.wait_while_wanted(60)
        went_on.set()

    holder, waiter = threading.Thread(target=have_it), threading.Thread(target=wait_for_it)
    holder.start()
    assert has_it.wait(60)
    turn.wait_while_wanted(0.01)
    assert turn.wanted()  # so it was not waited for to the end
    waiter.start()
    assert not went_on.wait(0.05)
    give_it.set()
    assert went_on.wait(30)
    holder.join()
    waiter.join()
    assert free(turn)
