"""Findings become DICOM: a Segmentation (SEG) and a measurement report (SR) that PACS and viewers understand."""

from stact_pacs.results.build import build_objects

__all__ = ["build_objects"]
