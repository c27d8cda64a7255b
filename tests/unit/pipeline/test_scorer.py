"""From a cine to findings, through a real bundle with tiny networks."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from stact_pacs.bundle import SEGMENTER, Bundle, Manifest, member_file, read_bundle, write_manifest
from stact_pacs.domain.findings import Cine, Findings, Nodule
from stact_pacs.domain.jobs import Outcome
from stact_pacs.errors import BundleInvalid, Defect, Misconfigured
from stact_pacs.pipeline.scorer import Scorer


def only_nodule(findings: Findings) -> Nodule:
    (nodule,) = findings.nodules
    return nodule


def test_a_cine_with_one_nodule_gets_one_score(scorer: Scorer, sweep: Cine) -> None:
    findings = scorer.score(sweep, job_key="job")
    nodule = only_nodule(findings)
    assert findings.outcome is Outcome.SCORED
    assert (nodule.number, nodule.first_frame, nodule.last_frame, nodule.key_frame) == (1, 2, 13, 7)
    assert 0 <= nodule.score.probability <= 1
    assert nodule.score.probability == pytest.approx(np.mean(nodule.score.member_probabilities))
    assert nodule.score.probability_sd == pytest.approx(np.std(nodule.score.member_probabilities))


def test_every_stack_says_where_it_starts_and_what_it_weighs(scorer: Scorer, sweep: Cine) -> None:
    score = only_nodule(scorer.score(sweep, job_key="job")).score
    assert score.stack_first_frames == (2, 5, 8, 11)
    assert sum(score.stack_attention) == pytest.approx(1)
    assert len(score.stack_attention) == 4


def test_labels_lie_on_the_disc_and_nowhere_else(scorer: Scorer, sweep: Cine) -> None:
    labels = scorer.score(sweep, job_key="job").labels
    assert labels is not None
    assert labels.shape == sweep.frames.shape
    assert set(np.unique(labels)) == {0, 1}
    assert not labels[[0, 1, 14, 15]].any()
    y, x = np.nonzero(labels[7])
    assert (x.mean() + 0.5, y.mean() + 0.5) == pytest.approx((40 + 47, 20 + 40), abs=1)
    assert np.count_nonzero(labels[7]) == pytest.approx(np.pi * 20**2, rel=0.1)


def test_axes_are_in_millimetres_on_a_calibrated_cine(scorer: Scorer, sweep: Cine) -> None:
    nodule = only_nodule(scorer.score(sweep, job_key="job"))
    assert nodule.long_axis_mm == pytest.approx(4.0, rel=0.1)
    assert nodule.short_axis_mm == pytest.approx(4.0, rel=0.1)
    assert nodule.long_axis.mean(axis=0) == pytest.approx([87, 60], abs=2)


def test_axes_of_an_uncalibrated_cine_have_no_length(scorer: Scorer, cine: Callable[..., Cine]) -> None:
    nodule = only_nodule(scorer.score(cine([[(0.5, 0.4, 0.2)]] * 6), job_key="job"))
    assert nodule.long_axis_mm is None
    assert nodule.short_axis_mm is None


def test_a_cine_without_a_nodule_says_so(scorer: Scorer, cine: Callable[..., Cine]) -> None:
    findings = scorer.score(cine([[]] * 12), job_key="job")
    assert findings.outcome is Outcome.NO_NODULE
    assert findings.nodules == ()
    assert findings.labels is None
    assert list(findings.timings_ms) == ["segment", "track", "measure"]


def test_two_nodules_are_scored_apart_the_larger_first(scorer: Scorer, cine: Callable[..., Cine]) -> None:
    both = scorer.score(cine([[(0.2, 0.4, 0.1), (0.7, 0.4, 0.2)]] * 9), job_key="job")
    assert [nodule.contour[:, 0].mean() for nodule in both.nodules] == pytest.approx([110, 60], abs=2)
    assert len({nodule.tracking_uid for nodule in both.nodules}) == 2


def test_a_nodule_at_the_edge_is_reported_with_a_warning(scorer: Scorer, cine: Callable[..., Cine]) -> None:
    findings = scorer.score(cine([[(0.0, 0.4, 0.2)]] * 6), job_key="job")
    assert findings.warnings == (
        "Nodule 1 reaches the edge of the scored region on its key frame; its size is a lower bound.",
    )
    assert only_nodule(findings).reaches_edge


def test_a_nodule_inside_the_region_does_not_reach_its_edge(scorer: Scorer, sweep: Cine) -> None:
    assert not only_nodule(scorer.score(sweep, job_key="job")).reaches_edge


@pytest.mark.parametrize("batch_frames", [1, 3, 5, 64])
def test_the_batch_size_does_not_change_a_score(bundle: Bundle, scorer: Scorer, sweep: Cine, batch_frames: int) -> None:
    other = Scorer(bundle, device="cpu", batch_frames=batch_frames).score(sweep, job_key="job")
    usual = scorer.score(sweep, job_key="job")
    assert only_nodule(other).score.member_probabilities == pytest.approx(
        only_nodule(usual).score.member_probabilities, abs=1e-6
    )
    assert np.array_equal(other.labels, usual.labels)


def test_what_was_scored_before_does_not_change_a_score(scorer: Scorer, sweep: Cine, cine: Callable[..., Cine]) -> None:
    first = scorer.score(sweep, job_key="job")
    scorer.score(cine([[(0.3, 0.3, 0.25)]] * 20), job_key="another")
    again = scorer.score(sweep, job_key="job")
    assert only_nodule(again).score == only_nodule(first).score
    assert np.array_equal(again.labels, first.labels)


def test_nothing_outside_the_region_changes_a_score(scorer: Scorer, sweep: Cine) -> None:
    frames = np.zeros_like(sweep.frames)
    frames[:, 20:100, 40:140] = sweep.frames[:, 20:100, 40:140]
    dark = Cine(
        frames=frames,
        frame_refs=sweep.frame_refs,
        region=sweep.region,
        calibration=sweep.calibration,
        frame_time_ms=sweep.frame_time_ms,
    )
    assert only_nodule(scorer.score(dark, job_key="job")).score == only_nodule(scorer.score(sweep, job_key="job")).score


def test_the_default_operating_point_decides_unless_another_is_named(scorer: Scorer, sweep: Cine) -> None:
    usual = only_nodule(scorer.score(sweep, job_key="job")).score
    assert usual.operating_point.name == "youden"
    assert usual.positive == (usual.probability >= 0.5)
    assert only_nodule(scorer.score(sweep, job_key="job", operating_point="everything")).score.positive


def test_an_unknown_operating_point_is_refused_with_the_known_ones(scorer: Scorer, sweep: Cine) -> None:
    with pytest.raises(BundleInvalid, match=r"'rule-out'.*youden, everything"):
        scorer.score(sweep, job_key="job", operating_point="rule-out")


def test_tracking_uids_belong_to_the_job(scorer: Scorer, sweep: Cine) -> None:
    uids = [only_nodule(scorer.score(sweep, job_key=key)).tracking_uid for key in ("one", "one", "two")]
    assert uids[0] == uids[1] != uids[2]


def test_progress_reaches_the_end_of_every_step(scorer: Scorer, sweep: Cine) -> None:
    told: list[tuple[str, int, int]] = []
    scorer.score(sweep, job_key="job", progress=lambda *step: told.append(step))
    assert told == [("segment", 8, 16), ("segment", 16, 16), ("embed", 4, 4)]


def test_progress_counts_the_stacks_of_all_nodules(scorer: Scorer, cine: Callable[..., Cine]) -> None:
    told: list[tuple[str, int, int]] = []
    two = cine([[(0.2, 0.4, 0.1), (0.7, 0.4, 0.2)]] * 9)
    scorer.score(two, job_key="job", progress=lambda *step: told.append(step))
    assert told[-2:] == [("embed", 3, 6), ("embed", 6, 6)]


def test_each_step_is_timed(scorer: Scorer, sweep: Cine) -> None:
    timings_ms = scorer.score(sweep, job_key="job").timings_ms
    assert list(timings_ms) == ["segment", "track", "crop", "embed", "fuse", "measure"]
    assert all(value > 0 for value in timings_ms.values())


def test_networks_that_give_no_numbers_are_a_defect_and_not_no_nodule(
    bundle: Bundle, sweep: Cine, tmp_path: Path, manifest: Manifest
) -> None:
    for file_name, network in ((SEGMENTER, "The segmenter"), (member_file(2), "A member of the ensemble")):
        folder = shutil.copytree(bundle.folder, tmp_path / file_name)
        weights = load_file(folder / file_name)
        broken = {
            name: tensor * torch.nan if tensor.is_floating_point() else tensor for name, tensor in weights.items()
        }
        save_file(broken, folder / file_name)
        write_manifest(folder, manifest)
        with pytest.raises(Defect, match=f"{network} gave .* not finite"):
            Scorer(read_bundle(folder), device="cpu").score(sweep, job_key="job")


def test_a_gpu_that_is_not_there_is_named_with_a_remedy(bundle: Bundle) -> None:
    with pytest.raises(Misconfigured, match=r"cuda:63.*Remedy: .*auto or cpu"):
        Scorer(bundle, device="cuda:63")


def test_the_scorer_says_which_bundle_it_is(bundle: Bundle, scorer: Scorer) -> None:
    assert scorer.identity == bundle.identity
    assert scorer.device == "cpu"
