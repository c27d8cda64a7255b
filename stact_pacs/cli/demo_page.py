"""Print what the demo came to."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from stact_pacs.cli.output import console
from stact_pacs.demo import DemoCase, DemoOutcome


def print_outcome(outcome: DemoOutcome) -> None:
    """Print the scores, and where the report, the SEG and the SR lie."""
    for case in outcome.cases:
        _print_case(case)
    if outcome.refused_stores:
        console.print(f"\nThe mini PACS refused {outcome.refused_stores} stores on purpose; they were sent again.")
    console.print(f"\nEverything lies in {escape(str(outcome.folder))}", soft_wrap=True, highlight=False)
    console.print(
        "[bold]The model is trained on synthetic phantoms. Its scores mean nothing for a patient.[/]", soft_wrap=True
    )


def _print_case(case: DemoCase) -> None:
    record = case.case.record or {}
    console.print(f"\n[bold]{escape(case.sent)}[/]: {_result(record)}", soft_wrap=True, highlight=False)
    console.print(f"  report  {escape(str(case.report))}", soft_wrap=True, highlight=False)
    for delivery, path in zip(case.case.deliveries, case.in_pacs, strict=False):
        console.print(f"  {delivery.kind:<7} {escape(str(path))}", soft_wrap=True, highlight=False)


def _result(record: Mapping[str, Any]) -> str:
    match record:
        case {"outcome": "scored", "nodules": [*nodules]}:
            return "; ".join(f"nodule {n}: {_score(nodule)}" for n, nodule in enumerate(nodules, start=1))
        case {"outcome": "not_scored", "reason_text": text}:
            return f"not scored: {escape(str(text))}"
        case {"outcome": "no_nodule"}:
            return "no nodule found"
        case _:
            return "no result"


def _score(nodule: dict[str, Any]) -> str:
    first, last = nodule["frames"]
    return (
        f"probability {nodule['probability']:.3f} ± {nodule['probability_sd']:.3f}, frames {first} to {last}, "
        f"{'positive' if nodule['operating_point']['positive'] else 'negative'} at {nodule['operating_point']['name']}"
    )
