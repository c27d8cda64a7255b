"""The outlines that a SEG holds are read back as they were written."""

import numpy as np
import pytest

from stact_pacs.domain.findings import OutlinedCine
from stact_pacs.domain.results import ObjectKind
from stact_pacs.domain.series import CineSource
from stact_pacs.results.outlines import read_outlines
from tests.unit.results.builders_results import built, cine_of, findings_of


def written_and_read(source: CineSource, nodules: int, **settings) -> tuple:
    cine = cine_of(source)
    findings = findings_of(cine, nodules=nodules)
    segmentation = built(source, cine, findings, outputs=("SEG",), **settings)[ObjectKind.SEG]
    return cine, findings, read_outlines(segmentation, [i.sop_instance_uid for i in source.instances])


def labels_in(outlines: OutlinedCine, cine, findings) -> np.ndarray:
    labels = np.zeros(cine.frames.shape, np.uint8)
    for nodule in findings.nodules:
        for index, frame in enumerate(cine.frame_refs):
            mask = outlines.masks[nodule.tracking_uid].get(frame)
            if mask is not None:
                labels[index][mask] = nodule.number
    return labels


@pytest.mark.parametrize("seg_type", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("empty_frames", [False, True])
def test_every_pixel_comes_back_on_its_frame_under_its_tracking_uid(
    single_frames: CineSource, seg_type: str, empty_frames: bool
) -> None:
    cine, findings, outlines = written_and_read(single_frames, 2, seg_type=seg_type, seg_empty_frames=empty_frames)
    assert np.array_equal(labels_in(outlines, cine, findings), findings.labels)
    assert set(outlines.masks) == {nodule.tracking_uid for nodule in findings.nodules}
    assert outlines.sop_instance_uids == {instance.sop_instance_uid for instance in single_frames.instances}


def test_the_frames_of_a_multi_frame_instance_come_back_by_their_numbers(multi_frame: CineSource) -> None:
    cine, findings, outlines = written_and_read(multi_frame, 1)
    assert np.array_equal(labels_in(outlines, cine, findings), findings.labels)


def test_a_frame_without_a_pixel_is_left_out(two_frames: CineSource) -> None:
    cine, findings, outlines = written_and_read(two_frames, 1, seg_empty_frames=True)
    shown = [ref for ref, labels in zip(cine.frame_refs, findings.labels, strict=True) if labels.any()]
    assert list(outlines.masks[findings.nodules[0].tracking_uid]) == shown
