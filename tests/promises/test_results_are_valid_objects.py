"""Of any ultrasound and any name, SEG and SR are valid, exact in their frames, and say what they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from stact_pacs.deliver.cstore import CStoreSender
from stact_pacs.deliver.outcomes import Accepted
from stact_pacs.domain.findings import Findings
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from stact_pacs.settings.delivering import Deliver
from tests.integration.archives import storescp
from tests.promises.ultrasound_shapes import NAMES, SHAPES, write_source
from tests.unit.results.builders_results import MODEL, built, cine_of, dataset_of, findings_of, items, written
from tests.unit.results.judges import dciodvfy

pytestmark = pytest.mark.slow

SEG, SR = ObjectKind.SEG, ObjectKind.SR
ROUNDS = 1
"""Over the shapes; times the scale."""


@dataclass(frozen=True, kw_only=True)
class Result:
    name: str
    source: CineSource
    findings: Findings
    objects: dict[ObjectKind, ResultObject]
    paths: dict[ObjectKind, Path]


@pytest.fixture
def results(tmp_path: Path, scale: int) -> list[Result]:
    chance = np.random.default_rng(23)
    return [make_result(tmp_path / f"case-{number}", number, chance) for number in range(ROUNDS * scale * len(SHAPES))]


def make_result(folder: Path, number: int, chance: np.random.Generator) -> Result:
    folder.mkdir()
    character_set, name = NAMES[number % len(NAMES)]
    source = write_source(folder, SHAPES[number % len(SHAPES)], character_set, name)
    cine = cine_of(source)
    findings = with_gaps(findings_of(cine, nodules=1 + number % 3), chance)
    objects = built(source, cine, findings)
    return Result(name=name, source=source, findings=findings, objects=objects, paths=written(folder, objects))


def with_gaps(findings: Findings, chance: np.random.Generator) -> Findings:
    """Take the nodules off some frames between their first and their last, and speckle the others."""
    labels = findings.labels.copy()
    for nodule in findings.nodules:
        between = np.arange(nodule.first_frame + 1, nodule.last_frame)
        lost = between[chance.random(len(between)) < 0.3]
        labels[lost] = np.where(labels[lost] == nodule.number, 0, labels[lost])
    labels[:, :, ::2] *= chance.random(labels[:, :, ::2].shape) < 0.9
    return replace(findings, labels=labels)


@pytest.mark.tools
@pytest.mark.timeout(900)
def test_seg_and_sr_of_every_shape_are_valid_exact_and_taken(results: list[Result], tmp_path: Path) -> None:
    assert [said for result in results for said in dciodvfy(*result.paths.values())] == []
    for result in results:
        assert_exact(result)
        assert_says_what_it_is(result)
    assert_taken([made for result in results for made in result.objects.values()], tmp_path)


def assert_exact(result: Result) -> None:
    """Every mask is on its frame, every frame of the SEG has a nodule, and every outline is on the key frame."""
    seg = highdicom.seg.segread(str(result.paths[SEG]))
    assert np.array_equal(masks_of(seg, result.source), result.findings.labels)
    nodules = result.findings.nodules
    shown = {
        (nodule.number, frame)
        for nodule in nodules
        for frame in np.flatnonzero((result.findings.labels == nodule.number).any(axis=(1, 2))).tolist()
    }
    assert seg.NumberOfFrames == len(shown)
    assert {place_of(frame, result.source) for frame in seg.PerFrameFunctionalGroupsSequence} == shown
    outlines = [item.ContentSequence[0] for item in items(dataset_of(result.objects[SR]), "111030")]
    keys = [index_of(outline.ReferencedSOPSequence[0], result.source) for outline in outlines]
    assert keys == [nodule.key_frame for nodule in nodules]


def masks_of(seg: highdicom.seg.Segmentation, source: CineSource) -> np.ndarray:
    options = {"assert_missing_frames_are_empty": True, "combine_segments": True, "ignore_spatial_locations": True}
    first = source.instances[0]
    if first.number_of_frames > 1:
        numbers = list(range(1, first.number_of_frames + 1))
        return seg.get_pixels_by_source_frame(first.sop_instance_uid, source_frame_numbers=numbers, **options)
    uids = [instance.sop_instance_uid for instance in source.instances]
    return seg.get_pixels_by_source_instance(uids, **options)


def place_of(frame: Dataset, source: CineSource) -> tuple[int, int]:
    """Return the segment of a SEG frame, and the frame of the cine that it lies on, from 0."""
    image = frame.DerivationImageSequence[0].SourceImageSequence[0]
    return int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber), index_of(image, source)


def index_of(reference: Dataset, source: CineSource) -> int:
    """Return which frame of the cine a reference means, from 0."""
    uids = [instance.sop_instance_uid for instance in source.instances]
    place = uids.index(reference.ReferencedSOPInstanceUID)
    assert reference.ReferencedSOPClassUID == source.instances[place].sop_class_uid
    return place if source.instances[0].number_of_frames == 1 else int(reference.ReferencedFrameNumber) - 1


def assert_says_what_it_is(result: Result) -> None:
    """Both name the patient, the device, the model and that nobody verified it, and mean the same nodules."""
    seg, sr = dataset_of(result.objects[SEG]), dataset_of(result.objects[SR])
    for dataset in (seg, sr):
        assert str(dataset.PatientName) == result.name
        assert dataset.TimezoneOffsetFromUTC == "+0900"
        for keyword in ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"):
            assert dataset[keyword].value
        assert MODEL.sha256 in dataset.to_json()
    assert "unverified" in sr.SeriesDescription
    assert "unverified" in seg.ContentDescription
    assert (sr.CompletionFlag, sr.VerificationFlag, sr.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    for segment in seg.SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentAlgorithmName == MODEL.name
        assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == MODEL.name
    tracked = {item.UID for item in items(sr, "112040")}
    assert tracked == {segment.TrackingUID for segment in seg.SegmentSequence}
    assert tracked == {nodule.tracking_uid for nodule in result.findings.nodules}


def assert_taken(objects: Sequence[ResultObject], tmp_path: Path) -> None:
    """DCMTK's storescp takes all of them, and holds what was sent."""
    with storescp(tmp_path, "--bit-preserving") as archive:
        outcomes = CStoreSender(Deliver()).send(objects, archive.destination)
        held = {copy.SOPInstanceUID: copy for copy in map(dcmread, archive.files())}
    assert [outcome for outcome in outcomes if not isinstance(outcome, Accepted)] == []
    assert held == {made.sop_instance_uid: dcmread(BytesIO(made.content)) for made in objects}
