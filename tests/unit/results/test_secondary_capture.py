"""The drawn cine: what a viewer that shows pictures only shows of the answer."""

import dataclasses

import numpy as np
import pytest
from pydicom.dataset import Dataset

from stact_pacs.domain.findings import Box, Cine
from stact_pacs.domain.results import ObjectKind, ResultObject
from stact_pacs.domain.series import CineSource
from tests.unit.results.builders_results import built, cine_of, dataset_of, findings_of

SC = ObjectKind.SC
JPEG_BASELINE, EXPLICIT_VR = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.1"


def small(source: CineSource, **given) -> tuple[CineSource, Cine]:
    """Return the source as if it were smaller, and its cine."""
    instance = dataclasses.replace(source.instances[0], rows=120, columns=160, number_of_frames=4)
    shrunk = CineSource(instances=(instance,))
    return shrunk, dataclasses.replace(cine_of(shrunk), **given)


def capture(source: CineSource, cine: Cine, *, nodules: int = 1, **given) -> ResultObject:
    return built(source, cine, findings_of(cine, nodules=nodules), outputs=("SC",), **given)[SC]


def drawn(source: CineSource, **given) -> Dataset:
    return dataset_of(capture(*small(source, **given)))


def test_it_says_that_it_is_burned_in_derived_and_unverified(multi_frame: CineSource) -> None:
    dataset = drawn(multi_frame)
    assert (dataset.BurnedInAnnotation, list(dataset.ImageType)) == ("YES", ["DERIVED", "SECONDARY"])
    assert "unverified" in dataset.SeriesDescription
    assert "unverified" in dataset.DerivationDescription


def test_its_modality_is_not_ultrasound_so_that_it_is_never_scored_itself(multi_frame: CineSource) -> None:
    assert drawn(multi_frame).Modality == "OT"


def test_it_names_every_instance_that_it_was_drawn_from(single_frames: CineSource) -> None:
    cine = cine_of(single_frames)
    dataset = dataset_of(capture(single_frames, cine))
    named = [item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence]
    assert named == [instance.sop_instance_uid for instance in single_frames.instances]
    assert dataset.NumberOfFrames == 12


@pytest.mark.parametrize(("frame_time_ms", "written"), [(33.25, 33.25), (None, 40)])
def test_it_runs_as_fast_as_the_source_or_at_the_usual_speed(
    multi_frame: CineSource, frame_time_ms: float | None, written: float
) -> None:
    dataset = drawn(multi_frame, frame_time_ms=frame_time_ms)
    assert float(dataset.FrameTime) == written
    assert dataset.FrameIncrementPointer == 0x00181063


def test_only_the_region_is_shown(multi_frame: CineSource) -> None:
    source, cine = small(multi_frame, region=Box(x0=0, y0=0, x1=160, y1=60))
    cine.frames[:, 60:] = 255  # such as a name below the image
    without_nodule = dataset_of(capture(source, cine)).pixel_array[-1]
    assert without_nodule.shape[1] == 640  # enlarged four times, so 240 rows are the region
    assert without_nodule[:240].max() < 10


def test_the_outline_is_drawn_on_the_frames_that_have_the_nodule_and_on_no_other(multi_frame: CineSource) -> None:
    source, cine = small(multi_frame)
    findings = findings_of(cine)
    pixels = dataset_of(built(source, cine, findings, outputs=("SC",), sc_compression="none")[SC]).pixel_array
    tissue = pixels[:, : round(cine.region.height * 640 / cine.region.width)]
    coloured = (tissue.astype(int).max(axis=3) - tissue.min(axis=3) > 80).any(axis=(1, 2))
    assert coloured.tolist() == findings.labels.any(axis=(1, 2)).tolist() == [True, True, True, False]


def test_the_words_are_below_the_picture_and_count_the_frames(multi_frame: CineSource) -> None:
    source, cine = small(multi_frame)
    pixels = dataset_of(capture(source, cine, sc_compression="none")).pixel_array
    strips = pixels[:, round(cine.region.height * 640 / cine.region.width) :]
    assert strips.max() > 200
    assert not np.array_equal(strips[0], strips[1])
    assert np.array_equal(strips[0][30:], strips[1][30:])  # but for the line that counts


def test_in_jpeg_it_is_smaller_and_admits_its_loss(multi_frame: CineSource) -> None:
    source, cine = small(multi_frame)
    compressed, plain = capture(source, cine), capture(source, cine, sc_compression="none")
    assert len(compressed.content) < len(plain.content) / 3
    dataset = dataset_of(compressed)
    assert dataset.file_meta.TransferSyntaxUID == JPEG_BASELINE
    assert (dataset.LossyImageCompression, dataset.PhotometricInterpretation) == ("01", "YBR_FULL_422")
    assert list(dataset.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_10918_1"]  # the source was JPEG too
    assert dataset_of(plain).file_meta.TransferSyntaxUID == EXPLICIT_VR


def test_both_ways_of_writing_show_the_same_pictures(multi_frame: CineSource) -> None:
    source, cine = small(multi_frame)
    compressed, plain = capture(source, cine), capture(source, cine, sc_compression="none")
    difference = np.abs(dataset_of(compressed).pixel_array.astype(int) - dataset_of(plain).pixel_array)
    assert difference.mean() < 2


def test_the_same_job_gives_the_same_bytes(multi_frame: CineSource) -> None:
    source, cine = small(multi_frame)
    assert capture(source, cine, nodules=2).sha256 == capture(source, cine, nodules=2).sha256
