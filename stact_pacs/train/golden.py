"""The golden check of a new bundle: a small phantom, and what the bundle finds in it."""

from stact_pacs.cine.bare import bare_cine
from stact_pacs.domain.findings import Cine
from stact_pacs.domain.jobs import Outcome
from stact_pacs.pipeline.scorer import Scorer
from stact_pacs.pipeline.selftest import golden_check
from stact_pacs.train.cases import draw_case
from stact_pacs.train.phantom import render

_SIZES, _FRAMES, _TRIES = ((128, 160), (192, 240)), 9, 25
"""The golden cine is small and synthetic: no picture of a patient may travel with a bundle."""


def golden_phantom(scorer: Scorer, seed: int) -> tuple[bytes, bool]:
    """Return the golden check, and whether a nodule is in it: that of the first small phantom in which one is found.

    A segmenter that was trained on patients may find no nodule in any phantom. The check then holds one in which it
    found none, and proves the segmenter alone.
    """
    for size in _SIZES:
        for attempt in range(_TRIES):
            cine = _small_phantom(seed + attempt, size)
            findings = scorer.score(cine, job_key="golden self-test")
            if findings.outcome is Outcome.SCORED:
                return golden_check(cine, findings), True
    return golden_check(cine, findings), False


def _small_phantom(seed: int, size: tuple[int, int]) -> Cine:
    drawn = render(draw_case(seed, malignant=True, number_of_frames=_FRAMES), size)
    return bare_cine(drawn.frames, drawn.region, drawn.calibration)
