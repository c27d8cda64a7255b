"""That pixels were compressed with loss, carried on: once lossy, always lossy (PS3.3 C.7.6.1.1.5)."""

from pydicom.dataset import Dataset

from stact_pacs.results.header import LossyCompression


def add_lossy_compression(dataset: Dataset, *compressions: LossyCompression | None) -> None:
    """Write the compressions that the pixels went through, in their order; None stands for one without loss.

    Ratios, and methods, are written only if they are known of every one: the values of both go together.
    """
    steps = [compression for compression in compressions if compression is not None]
    dataset.LossyImageCompression = "01" if steps else "00"
    if steps and all(step.ratios for step in steps):
        dataset.LossyImageCompressionRatio = [ratio for step in steps for ratio in step.ratios]
    if steps and all(step.methods for step in steps):
        dataset.LossyImageCompressionMethod = [method for step in steps for method in step.methods]
