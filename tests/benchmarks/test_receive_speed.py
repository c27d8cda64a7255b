"""How fast instances come in, beside DCMTK's storescp, Orthanc at its best, and the limit of the machine.

Ours hashes, reads the header, and syncs the file, its folder and its row before it answers; storescp and this Orthanc
sync nothing, and storescp keeps no index. The limit syncs one file for each instance and does nothing else; the
shortest durable program hashes and syncs as ours must, without DICOM, header and database. All are sent the same files
by the same senders, taking turns; the median counts.

The table goes to build/benchmarks/receive.md and receive.json.
"""

from pathlib import Path

import pytest

from tests.benchmarks.receive_loads import BIG, FEW_SMALL, JPEG, SMALL
from tests.benchmarks.receive_measure import Cell, Measured, measure, write_results
from tests.benchmarks.receive_peers import ours, send_s
from tests.integration.loopback_namespace import require_tools
from tests.integration.receiving import cine

pytestmark = [pytest.mark.tools, pytest.mark.slow, pytest.mark.timeout(3600)]

ROUNDS = 3
ARTEFACTS = Path(__file__).parents[2] / "build" / "benchmarks"
CELLS = {
    **{(load.name, senders, False): Cell(load, senders) for load in (BIG, JPEG, SMALL) for senders in (1, 4)},
    **{("small", senders, True): Cell(FEW_SMALL, senders, nagle=True) for senders in (1, 4)},
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int, bool], Measured]:
    require_tools("storescu", "storescp", "echoscu", "Orthanc", "ip")
    results = {key: measure(cell, tmp_path_factory.mktemp("receive"), rounds=ROUNDS) for key, cell in CELLS.items()}
    print("\n" + write_results(list(results.values()), ARTEFACTS))
    return results


@pytest.mark.parametrize("senders", [1, 4])
@pytest.mark.parametrize(("load", "ratio"), [("big", 2.0), ("jpeg", 1.5), ("small", 1.2)])
def test_synced_instances_come_in_faster_than_into_an_orthanc_that_syncs_nothing(
    measured: dict[tuple[str, int, bool], Measured], load: str, ratio: float, senders: int
) -> None:
    assert measured[load, senders, False].ratio("orthanc") >= ratio


@pytest.mark.parametrize("senders", [1, 4])
def test_a_sender_with_nagles_algorithm_is_served_ten_times_as_fast_as_by_orthanc(
    measured: dict[tuple[str, int, bool], Measured], senders: int
) -> None:
    assert measured["small", senders, True].ratio("orthanc") >= 10


@pytest.mark.parametrize("senders", [1, 4])
@pytest.mark.parametrize(("load", "ratio"), [("big", 0.65), ("jpeg", 0.6), ("small", 0.4)])
def test_durability_and_an_index_cost_a_bounded_part_of_storescps_speed(
    measured: dict[tuple[str, int, bool], Measured], load: str, ratio: float, senders: int
) -> None:
    assert measured[load, senders, False].ratio("storescp") >= ratio


def test_an_instance_of_512_mb_is_received_in_less_than_150_mb(tmp_path: Path) -> None:
    require_tools("storescu")
    large = cine(tmp_path / "large.dcm", "1.2.3.4", frames=512, size=1000)
    with ours(tmp_path / "site") as running:
        send_s(running, BIG, [large], senders=1, nagle=False)
        assert running.peak_mb() < 150
    large.unlink()
