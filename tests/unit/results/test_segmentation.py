"""The SEG: every mask on the frame it belongs to, and nothing invented."""

import dataclasses
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread

from stact_pacs.domain.findings import Findings
from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import CineSource
from stact_pacs.errors import Defect
from tests.real_ultrasound import ALL, COLOUR_DOPPLER, JPEG_CINE, real_ultrasound
from tests.unit.results.builders_results import (
    CALIBRATION,
    NO_NODULE,
    built,
    cine_of,
    dataset_of,
    findings_of,
    source_of,
    written,
)
from tests.unit.results.judges import dciodvfy

SEG = ObjectKind.SEG


def seg_of(source: CineSource, *, nodules: int = 1, calibrated: bool = True, **given):
    cine = cine_of(source, calibration=CALIBRATION if calibrated else None)
    return dataset_of(built(source, cine, findings_of(cine, nodules=nodules), outputs=("SEG",), **given)[SEG])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("geometry", ["viewer", "strict"])
def test_the_seg_of_a_real_cine_has_no_error(name: str, geometry: str, tmp_path: Path) -> None:
    source = source_of(real_ultrasound(name, tmp_path))
    cine = cine_of(source, calibration=CALIBRATION if geometry == "viewer" else None)
    objects = built(source, cine, findings_of(cine, nodules=2), outputs=("SEG",), seg_geometry=geometry)
    assert dciodvfy(*written(tmp_path, objects).values()) == []


def test_the_seg_of_a_series_of_single_frames_has_no_error(single_frames: CineSource, tmp_path: Path) -> None:
    cine = cine_of(single_frames)
    assert dciodvfy(*written(tmp_path, built(single_frames, cine, findings_of(cine, nodules=2))).values()) == []


def test_highdicom_reads_back_every_mask_on_its_own_frame(multi_frame: CineSource) -> None:
    cine = cine_of(multi_frame)
    findings = findings_of(cine, nodules=2)
    seg = highdicom.seg.Segmentation.from_dataset(dataset_of(built(multi_frame, cine, findings)[SEG]), copy=False)
    read = seg.get_pixels_by_source_frame(
        multi_frame.instances[0].sop_instance_uid,
        source_frame_numbers=list(range(1, len(cine.frames) + 1)),
        assert_missing_frames_are_empty=True,
        combine_segments=True,
    )
    assert np.array_equal(read, findings.labels)


def test_highdicom_reads_back_a_series_of_single_frames(single_frames: CineSource) -> None:
    cine = cine_of(single_frames)
    findings = findings_of(cine, nodules=2)
    seg = highdicom.seg.Segmentation.from_dataset(dataset_of(built(single_frames, cine, findings)[SEG]), copy=False)
    read = seg.get_pixels_by_source_instance(
        [instance.sop_instance_uid for instance in single_frames.instances],
        assert_missing_frames_are_empty=True,
        combine_segments=True,
    )
    assert np.array_equal(read, findings.labels)


def test_odd_frame_sizes_are_packed_without_padding_between_frames(multi_frame: CineSource) -> None:
    odd = CineSource(
        instances=(dataclasses.replace(multi_frame.instances[0], rows=31, columns=43, number_of_frames=7),)
    )
    cine = cine_of(odd)
    findings = findings_of(cine)
    dataset = dataset_of(built(odd, cine, findings, outputs=("SEG",))[SEG])
    assert len(dataset.PixelData) % 2 == 0
    assert np.array_equal(dataset.pixel_array, findings.labels[:6])


def test_frames_without_a_mask_are_not_written_and_places_in_time_have_no_gap(multi_frame: CineSource) -> None:
    cine = cine_of(multi_frame)
    findings = findings_of(cine)
    findings.labels[10:20] = 0
    dataset = dataset_of(built(multi_frame, cine, findings, outputs=("SEG",))[SEG])
    frames = dataset.PerFrameFunctionalGroupsSequence
    assert dataset.NumberOfFrames == len(frames) == 109
    assert [f.FrameContentSequence[0].TemporalPositionIndex for f in frames] == list(range(1, 110))
    assert [f.FrameContentSequence[0].DimensionIndexValues[1] for f in frames] == list(range(1, 110))
    assert [source_image(f).ReferencedFrameNumber for f in frames] == [*range(1, 11), *range(21, 120)]


def test_a_single_frame_instance_is_referred_to_without_a_frame_number(single_frames: CineSource) -> None:
    frames = seg_of(single_frames).PerFrameFunctionalGroupsSequence
    uids = [source_image(frame).ReferencedSOPInstanceUID for frame in frames]
    assert uids == [instance.sop_instance_uid for instance in single_frames.instances[:11]]
    assert not any("ReferencedFrameNumber" in source_image(frame) for frame in frames)


def test_only_instances_that_a_frame_refers_to_are_listed(single_frames: CineSource) -> None:
    (series,) = seg_of(single_frames).ReferencedSeriesSequence
    assert series.SeriesInstanceUID == single_frames.series.series_instance_uid
    listed = [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence]
    assert listed == [instance.sop_instance_uid for instance in single_frames.instances[:11]]  # the last has no mask


def test_a_segment_carries_the_tracking_uid_of_its_nodule(two_frames: CineSource) -> None:
    cine = cine_of(two_frames)
    findings = findings_of(cine, nodules=2)
    segments = dataset_of(built(two_frames, cine, findings)[SEG]).SegmentSequence
    assert [(s.SegmentNumber, s.TrackingID, s.TrackingUID) for s in segments] == [
        (n.number, f"Nodule {n.number}", n.tracking_uid) for n in findings.nodules
    ]
    assert {s.SegmentAlgorithmType for s in segments} == {"AUTOMATIC"}


def test_the_spacing_of_a_calibrated_cine_is_its_own(two_frames: CineSource) -> None:
    measures = seg_of(two_frames).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert list(measures.PixelSpacing) == [CALIBRATION.row_spacing_mm, CALIBRATION.column_spacing_mm]


def test_the_spacing_of_an_uncalibrated_cine_is_the_nominal_one(two_frames: CineSource) -> None:
    shared = seg_of(two_frames, calibrated=False, nominal_spacing_mm=0.5).SharedFunctionalGroupsSequence[0]
    assert list(shared.PixelMeasuresSequence[0].PixelSpacing) == [0.5, 0.5]


def test_a_nominal_spacing_is_called_nominal(two_frames: CineSource) -> None:
    assert "nominal" in seg_of(two_frames, calibrated=False).SegmentSequence[0].SegmentDescription
    assert "nominal" not in seg_of(two_frames).SegmentSequence[0].SegmentDescription
    strict = seg_of(two_frames, calibrated=False, seg_geometry="strict")
    assert "nominal" not in strict.SegmentSequence[0].SegmentDescription


def test_strict_geometry_invents_nothing(two_frames: CineSource) -> None:
    dataset = seg_of(two_frames, seg_geometry="strict")
    assert len(dataset.SharedFunctionalGroupsSequence[0]) == 0


@pytest.mark.parametrize("geometry", ["viewer", "strict"])
def test_no_geometry_has_plane_positions_or_an_invented_frame_of_reference(
    two_frames: CineSource, geometry: str
) -> None:
    dataset = seg_of(two_frames, seg_geometry=geometry)
    assert "FrameOfReferenceUID" not in dataset
    assert not any("PlanePositionSequence" in frame for frame in dataset.PerFrameFunctionalGroupsSequence)


def test_a_frame_of_reference_of_the_source_is_kept(tmp_path: Path) -> None:
    path = real_ultrasound(COLOUR_DOPPLER, tmp_path)
    assert seg_of(source_of(path)).FrameOfReferenceUID == dcmread(path).FrameOfReferenceUID


def test_pixels_that_were_once_lossy_stay_lossy(multi_frame: CineSource, two_frames: CineSource) -> None:
    lossy, lossless = seg_of(multi_frame), seg_of(two_frames)
    assert (lossy.LossyImageCompression, lossy.LossyImageCompressionRatio) == ("01", 19)
    assert lossy.LossyImageCompressionMethod == "ISO_10918_1"
    assert lossless.LossyImageCompression == "00"
    assert "LossyImageCompressionRatio" not in lossless


def test_a_jpeg_baseline_source_that_does_not_admit_its_loss_is_lossy_all_the_same(tmp_path: Path) -> None:
    path = real_ultrasound(JPEG_CINE, tmp_path)
    source = dcmread(path)
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in source:
            delattr(source, keyword)
    source.save_as(path)
    assert seg_of(source_of(path)).LossyImageCompression == "01"


def test_a_cine_without_a_nodule_has_no_seg(two_frames: CineSource) -> None:
    assert SEG not in built(two_frames, cine_of(two_frames), NO_NODULE)


def test_a_nodule_without_a_pixel_is_a_defect(two_frames: CineSource) -> None:
    cine = cine_of(two_frames)
    findings = findings_of(cine)
    findings.labels[:] = 0
    with pytest.raises(Defect, match="have no pixel"):
        built(two_frames, cine, findings)


def test_labels_of_another_shape_are_a_defect(two_frames: CineSource) -> None:
    cine = cine_of(two_frames)
    findings = findings_of(cine)
    other = Findings(outcome=findings.outcome, nodules=findings.nodules, labels=findings.labels[:, 1:])
    with pytest.raises(Defect, match="shape"):
        built(two_frames, cine, other)


def test_nodules_out_of_order_are_a_defect(two_frames: CineSource) -> None:
    cine = cine_of(two_frames)
    findings = findings_of(cine, nodules=2)
    swapped = dataclasses.replace(findings, nodules=findings.nodules[::-1])
    with pytest.raises(Defect, match="numbered"):
        built(two_frames, cine, swapped)


def source_image(frame):
    return frame.DerivationImageSequence[0].SourceImageSequence[0]
