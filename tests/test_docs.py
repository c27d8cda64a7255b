"""Nothing rots unnoticed: what the documents say is compared with what the code is."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from stact_pacs.cli import app
from stact_pacs.domain.commitments import CommitmentState
from stact_pacs.domain.deliveries import DeliveryState
from stact_pacs.domain.jobs import JobState
from stact_pacs.domain.series import SeriesState
from stact_pacs.domain.workitems import WorkitemState
from stact_pacs.errors import Reason
from stact_pacs.queue.states import diagram
from stact_pacs.settings_template import example_toml
from stact_pacs.store.history import Action

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATOR = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Return every command of the command line, a group's as `group command`."""
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        subcommands = getattr(command, "commands", None)
        found += [f"{name} {sub}" for sub in subcommands] if subcommands else [name]
    return found


@pytest.mark.parametrize("command", commands())
def test_the_readme_names_every_command(command: str) -> None:
    group, _, sub = command.partition(" ")
    rows = [line for line in README.splitlines() if line.startswith(f"| `stact-pacs {group}")]
    assert rows, command
    assert not sub or any(re.search(rf"\b{re.escape(sub)}\b", row) for row in rows), command


def test_the_readme_shows_the_states_as_the_tables_have_them() -> None:
    shown = re.search(r"<!-- states:.*?-->\n(.*?)<!-- end of states -->", README, re.DOTALL)
    assert shown is not None
    assert shown.group(1).strip() == diagram().strip()


def test_the_example_settings_file_is_the_one_that_init_writes() -> None:
    assert (ROOT / "deploy" / "stact-pacs.example.toml").read_text(encoding="utf-8") == example_toml()


@pytest.mark.parametrize(
    "word", [*Action, *Reason, *JobState, *SeriesState, *DeliveryState, *CommitmentState, *WorkitemState]
)
def test_the_operators_readme_explains_every_event_reason_and_state(word: str) -> None:
    assert f"`{word}`" in OPERATOR


def test_no_document_names_a_file_that_is_not_there() -> None:
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
