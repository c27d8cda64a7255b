"""Write the training report: one file that needs nothing else and runs nothing."""

from pathlib import Path

from stact_pacs.report.pages import render, write_page
from stact_pacs.report.training_view import NOT_CLINICAL, training_view
from stact_pacs.training_record import TrainingRecord


def training_page(record: TrainingRecord) -> str:
    """Return the training report as HTML. The same record gives the same page."""
    return render("train_report.html", unverified=NOT_CLINICAL, view=training_view(record))


def write_training_report(record: TrainingRecord, path: Path) -> Path:
    """Write the training report to the path and return it; raises as `pages.write_case` does."""
    return write_page(path, training_page(record))
