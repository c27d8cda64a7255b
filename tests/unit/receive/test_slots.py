"""Who may be connected."""

from stact_pacs.receive.slots import Slots, one_to_cut


def slots_of(max_associations: int, max_per_address: int, **reserved: int) -> Slots:
    """Slots of a listener whose peers call from addresses that begin with 10."""
    return Slots(
        max_associations=max_associations,
        max_per_address=max_per_address,
        reserved=reserved,
        knows_address=lambda address: address.startswith("10."),
    )


def full(slots: Slots, count: int, address: str, ae_title: str = "X") -> None:
    for n in range(count):
        slots.arrive((address, n), address)
        assert slots.establish((address, n), ae_title)


def test_associations_are_capped_in_all() -> None:
    slots = slots_of(2, 2)
    full(slots, 1, "a")
    full(slots, 1, "b")
    slots.arrive("late", "c")
    assert not slots.establish("late", "X")


def test_associations_are_capped_by_address() -> None:
    slots = slots_of(9, 2)
    full(slots, 2, "a")
    slots.arrive("third", "a")
    slots.arrive("other", "b")
    assert not slots.establish("third", "X")
    assert slots.establish("other", "X")


def test_a_slot_is_free_again_when_its_association_is_over() -> None:
    slots = slots_of(1, 1)
    full(slots, 1, "a")
    slots.depart(("a", 0))
    slots.arrive("next", "a")
    assert slots.establish("next", "X")


def test_silent_connections_never_keep_a_newcomer_out() -> None:
    slots = slots_of(1, 1)
    evicted = [slots.arrive(n, "attacker") for n in range(100)]
    assert evicted[:16] == [None] * 16
    assert evicted[16:] == list(range(84))
    slots.arrive("modality", "10.0.0.1")
    assert slots.establish("modality", "X")


def test_a_connection_that_was_cut_gets_no_slot() -> None:
    slots = slots_of(1, 1)
    for n in range(17):
        slots.arrive(n, "a")
    assert not slots.establish(0, "X")


def test_the_oldest_of_the_busiest_address_is_cut() -> None:
    assert one_to_cut({1: "quiet", 2: "busy", 3: "busy", 4: "busy"}) == 2


def test_leaving_twice_is_harmless() -> None:
    slots = slots_of(1, 1)
    full(slots, 1, "a")
    slots.leave(("a", 0))
    slots.leave(("a", 0))
    slots.depart(("a", 0))
    full(slots, 1, "a")


def test_strangers_never_get_what_is_reserved() -> None:
    slots = slots_of(4, 4, PACS=1, CART=1)
    full(slots, 2, "a")
    slots.arrive("stranger", "b")
    assert not slots.establish("stranger", "X")
    full(slots, 1, "10.0.0.1", "PACS")
    full(slots, 1, "10.0.0.2", "CART")


def test_a_peer_may_have_more_than_is_reserved_for_it_but_nothing_of_another() -> None:
    slots = slots_of(4, 4, PACS=1, CART=1)
    full(slots, 3, "10.0.0.1", "PACS")
    slots.arrive("fourth", "10.0.0.1")
    assert not slots.establish("fourth", "PACS")
    full(slots, 1, "10.0.0.2", "CART")


def test_what_is_reserved_is_there_even_when_its_address_is_used_up() -> None:
    slots = slots_of(4, 1, PACS=1)
    full(slots, 1, "gateway")
    slots.arrive("peer", "gateway")
    assert slots.establish("peer", "PACS")


def test_what_is_reserved_is_kept_again_when_its_association_is_over() -> None:
    slots = slots_of(1, 1, PACS=1)
    full(slots, 1, "10.0.0.1", "PACS")
    slots.depart(("10.0.0.1", 0))
    slots.arrive("stranger", "a")
    assert not slots.establish("stranger", "X")
    slots.arrive("again", "10.0.0.1")
    assert slots.establish("again", "PACS")


def test_a_pending_peer_is_not_cut_for_strangers() -> None:
    slots = slots_of(1, 1, PACS=1)
    slots.arrive("peer", "10.0.0.1")
    for n in range(100):
        slots.arrive(n, f"192.0.2.{n}")
    assert slots.establish("peer", "PACS")
