"""Fine-tune the segmenter of each fold, and give every nodule the masks of the segmenter that never saw it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import torch
from torch import Tensor, nn

from stact_pacs.cine.crops import segmenter_input
from stact_pacs.networks.msunet import MsuNet
from stact_pacs.pipeline.nodules import Track, track_nodules
from stact_pacs.pipeline.segment import segment
from stact_pacs.train.data import Cohort, NoduleClip
from stact_pacs.train.loop import fit
from stact_pacs.train.losses import mask_loss
from stact_pacs.train.metrics import dice
from stact_pacs.train.pretraining import mask_squares, other_gain
from stact_pacs.train.run_folder import load_weights, read_tensors, write_bytes, write_json, write_weights
from stact_pacs.train.run_setup import BATCH, RunSetup, unheard
from stact_pacs.train.start_stage import SEGMENTER

_WEIGHT_DECAY = 0.01
_WHITE = 255


# -- fine-tuning ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameSet:
    """Frames with the annotator's masks, in bytes: a whole cohort fits into memory."""

    images: Tensor
    """uint8 (N, 1, size, size)."""
    masks: Tensor
    """uint8 (N, 1, size, size), 0 or 1."""


def region_of(clip: NoduleClip) -> tuple[np.ndarray, np.ndarray]:
    """Return frames, uint8, and the annotator's masks, bool, of the tissue region: (T, H, W) both."""
    box = clip.region
    window = np.s_[:, box.y0 : box.y1, box.x0 : box.x1]
    return clip.frames[window], clip.masks[window]


def frame_set(cohort: Cohort, annot_ids: Sequence[str], setup: RunSetup) -> FrameSet:
    """Read the frames of these nodules, one clip at a time, in the segmenter's size."""
    preprocessing, step = setup.preset.preprocessing, setup.preset.frame_step
    images, masks = [], []
    for annot_id in annot_ids:
        frames, truth = region_of(cohort.clip(annot_id))
        inputs = segmenter_input(frames[::step], preprocessing)
        images.append(np.rint(inputs * _WHITE).astype(np.uint8))
        masks.append(mask_squares(truth[::step], preprocessing.segmenter_size).astype(np.uint8))
    return FrameSet(images=torch.from_numpy(np.concatenate(images)), masks=torch.from_numpy(np.concatenate(masks)))


def fine_tune_segmenter(setup: RunSetup, cohort: Cohort, fold: int) -> None:
    """Fine-tune the segmenter on the training folds of this fold, and keep the epoch with the best validation Dice."""
    split = setup.split(fold)
    training, validation = (frame_set(cohort, annot_ids, setup) for annot_ids in (split.train, split.val))
    segmenter = MsuNet(setup.preset.segmenter)
    segmenter.load_state_dict(read_tensors(setup.folder.start(SEGMENTER)))
    with setup.chance("segmenter", str(fold)):
        best = fit_with_validation(segmenter, training, validation, setup)
    write_weights(setup.folder.segmenter(fold), best)


def fit_with_validation(segmenter: nn.Module, training: FrameSet, validation: FrameSet, setup: RunSetup) -> nn.Module:
    """Train the segmenter and return it as it was after the epoch with the best Dice on the validation frames."""
    schedule, fabric = setup.preset.segmenter_schedule, setup.fabric
    optimizer = torch.optim.AdamW(segmenter.parameters(), lr=schedule.rate, weight_decay=_WEIGHT_DECAY)
    trained, optimizer = fabric.setup(segmenter, optimizer)
    best_dice, best = -1.0, segmenter.state_dict()

    def loss_of(batch: Tensor) -> Tensor:
        images, masks = training.images[batch].float() / _WHITE, training.masks[batch].float()
        mirrored = torch.rand(len(batch)) < 0.5
        images[mirrored], masks[mirrored] = images[mirrored].flip(-1), masks[mirrored].flip(-1)
        return mask_loss(trained(fabric.to_device(other_gain(images))), fabric.to_device(masks))

    def keep_best(done: int, total: int) -> None:
        nonlocal best_dice, best
        now = mean_dice(segmenter, validation, setup)
        if now > best_dice:
            best_dice, best = now, {name: tensor.clone() for name, tensor in segmenter.state_dict().items()}
        segmenter.train()
        setup.tick(done, total)

    fit(optimizer, len(training.images), schedule, loss_of, keep_best, fabric.backward)
    segmenter.load_state_dict(best)
    return segmenter


def mean_dice(segmenter: nn.Module, frames: FrameSet, setup: RunSetup) -> float:
    """Return the mean Dice over frames at the segmenter's own size; two empty masks agree: 1."""
    segmenter.eval()
    threshold, values = setup.preset.preprocessing.mask_threshold, []
    for images, masks in zip(torch.split(frames.images, BATCH), torch.split(frames.masks, BATCH), strict=True):
        with torch.inference_mode(), setup.fabric.autocast():
            found = segmenter(images.to(setup.torch_device).float() / _WHITE).float().sigmoid().cpu() >= threshold
        values += [dice(one.numpy(), other.numpy()) for one, other in zip(found, masks.bool(), strict=True)]
    return float(np.mean(values))


# -- out-of-fold masks ---------------------------------------------------------------------------------


def segment_test_fold(setup: RunSetup, cohort: Cohort, fold: int) -> None:
    """Segment the test nodules of this fold, keep of each the followed nodule that lies on the annotated one."""
    segmenter = load_weights(MsuNet(setup.preset.segmenter), setup.folder.segmenter(fold))
    networks = setup.networks(segmenter=segmenter)
    preprocessing = setup.preset.preprocessing
    numbers = {annot_id: number for number, annot_id in enumerate(setup.fold_of)}
    digest, nodules = hashlib.sha256(), []
    tested = setup.split(fold).test
    for done, annot_id in enumerate(tested):
        setup.tick(done, len(tested))
        frames, truth = region_of(cohort.clip(annot_id))
        found = segment(frames, networks, preprocessing, batch_frames=BATCH, tick=unheard)
        tracks = track_nodules(found, preprocessing).tracks
        track = _on_truth(tracks, truth)
        mask = _mask_of(track, truth.shape)
        write_bytes(setup.folder.mask(numbers[annot_id]), packed(mask))
        digest.update(mask.tobytes())
        nodules.append(
            {
                "annot_id": annot_id,
                "dice": dice(mask, truth),
                "missed": track is None,
                "other_nodules": len(tracks) - (track is not None),
            }
        )
    missed = sum(bool(nodule["missed"]) for nodule in nodules)
    content_of_fold = {"fold": fold, "masks_sha256": digest.hexdigest(), "missed": missed, "nodules": nodules}
    write_json(setup.folder.segmentation(fold), content_of_fold)


def _on_truth(tracks: Sequence[Track], truth: np.ndarray) -> Track | None:
    """Return the track that shares most pixels with the annotated nodule, bool (T, H, W); None when none does."""
    shared = [int((_mask_of(track, truth.shape) & truth).sum()) for track in tracks]
    return tracks[int(np.argmax(shared))] if any(shared) else None


def _mask_of(track: Track | None, shape: tuple[int, ...]) -> np.ndarray:
    """Return the masks of a followed nodule over the whole clip: bool (T, H, W); empty for a missed one."""
    masks = np.zeros(shape, dtype=np.bool_)
    if track is not None:
        masks[track.first_frame : track.last_frame + 1] = track.masks(*shape[1:])
    return masks


def packed(mask: np.ndarray) -> bytes:
    """Return the file content of a mask, bool (T, H, W): one bit for each pixel, compressed."""
    content = BytesIO()
    np.savez_compressed(content, bits=np.packbits(mask), shape=np.array(mask.shape))
    return content.getvalue()


def read_mask(setup: RunSetup, number: int) -> np.ndarray:
    """Return the out-of-fold mask of the cohort's record of this index: bool (T, H, W) of the region."""
    with np.load(setup.folder.mask(number)) as stored:
        shape = tuple(stored["shape"].tolist())
        mask: np.ndarray = np.unpackbits(stored["bits"], count=int(np.prod(shape))).astype(np.bool_).reshape(shape)
    return mask
