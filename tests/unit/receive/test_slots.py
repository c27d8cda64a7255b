"""Who may be connected."""

from stact_pacs.receive.slots import Slots, one_to_cut


def full(slots: Slots, count: int, address: str) -> None:
    for n in range(count):
        slots.arrive((address, n), address)
        assert slots.establish((address, n))


def test_associations_are_capped_in_all() -> None:
    slots = Slots(max_associations=2, max_per_address=2)
    full(slots, 1, "a")
    full(slots, 1, "b")
    slots.arrive("late", "c")
    assert not slots.establish("late")


def test_associations_are_capped_by_address() -> None:
    slots = Slots(max_associations=9, max_per_address=2)
    full(slots, 2, "a")
    slots.arrive("third", "a")
    slots.arrive("other", "b")
    assert not slots.establish("third")
    assert slots.establish("other")


def test_a_slot_is_free_again_when_its_association_is_over() -> None:
    slots = Slots(max_associations=1, max_per_address=1)
    full(slots, 1, "a")
    slots.depart(("a", 0))
    slots.arrive("next", "a")
    assert slots.establish("next")


def test_silent_connections_never_keep_a_newcomer_out() -> None:
    slots = Slots(max_associations=1, max_per_address=1)
    evicted = [slots.arrive(n, "attacker") for n in range(100)]
    assert evicted[:16] == [None] * 16
    assert evicted[16:] == list(range(84))
    slots.arrive("modality", "10.0.0.1")
    assert slots.establish("modality")


def test_a_connection_that_was_cut_gets_no_slot() -> None:
    slots = Slots(max_associations=1, max_per_address=1)
    for n in range(17):
        slots.arrive(n, "a")
    assert not slots.establish(0)


def test_the_oldest_of_the_busiest_address_is_cut() -> None:
    assert one_to_cut({1: "quiet", 2: "busy", 3: "busy", 4: "busy"}) == 2


def test_leaving_twice_is_harmless() -> None:
    slots = Slots(max_associations=1, max_per_address=1)
    full(slots, 1, "a")
    slots.leave(("a", 0))
    slots.leave(("a", 0))
    slots.depart(("a", 0))
    full(slots, 1, "a")
