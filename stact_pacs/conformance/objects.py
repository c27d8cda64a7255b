"""The attributes and the content items that are written: read off objects that are made for it (PS3.2 N.5.1).

Cines are made up, and their objects written by the same functions that write real ones. What all objects of a kind
have is "always" there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from stact_pacs.conformance.document import Section, Table
from stact_pacs.conformance.made_up import MADE_UP_SCHEME, MadeUp, made_up_cases
from stact_pacs.conformance.services import name_of
from stact_pacs.domain.findings import ModelIdentity
from stact_pacs.domain.results import ObjectKind, ObjectVariant, ResultObject
from stact_pacs.results import build_objects
from stact_pacs.results.header import COPIED
from stact_pacs.settings.delivering import Results

_STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def attributes(settings: Results, model: ModelIdentity, profiles: Iterable[str]) -> tuple[Section, ...]:
    """Return a section for each kind of object, in the ways of the profiles in force (the empty name is [results])."""
    variants = [ObjectVariant(kind=kind, profile=profile) for kind in ObjectKind for profile in sorted(set(profiles))]
    with TemporaryDirectory() as folder:
        made = [result for case in made_up_cases(Path(folder)) for result in _built(case, settings, model, variants)]
    written: dict[ObjectKind, list[Dataset]] = {
        kind: [dcmread(BytesIO(each.content)) for each in made if each.kind is kind] for kind in ObjectKind
    }
    sections = (_section(number, kind, datasets) for number, (kind, datasets) in enumerate(written.items(), start=1))
    return (*sections, _coded_terms(len(written) + 1, written))


def _built(
    case: MadeUp, settings: Results, model: ModelIdentity, wanted: list[ObjectVariant]
) -> tuple[ResultObject, ...]:
    before = case.predecessor
    predecessors = {} if before is None else {variant.profile: before for variant in wanted}
    return build_objects(
        job_key=case.source.job_key(model.sha256),
        source=case.source,
        cine=case.cine,
        findings=case.findings,
        model=model,
        settings=settings,
        wanted=wanted,
        started_at=_STARTED_AT,
        predecessors=predecessors,
    )


def _section(number: int, kind: ObjectKind, datasets: list[Dataset]) -> Section:
    classes = sorted({f"{name_of(str(each.SOPClassUID))} ({each.SOPClassUID})" for each in datasets})
    tables = [_attributes(kind, datasets)]
    if kind in (ObjectKind.SR, ObjectKind.KOS):
        tables.append(_content_items(datasets))
    title = f"Objects written: {kind.value}"
    return Section(number=f"5.{number}", title=title, paragraphs=("; ".join(classes),), tables=tuple(tables))


def _attributes(kind: ObjectKind, datasets: list[Dataset]) -> Table:
    counts = Counter(path for dataset in datasets for path in set(_paths(dataset)))
    empty = {path for dataset in datasets for path in _empty(dataset)}
    rows = tuple(
        (_named(path), _presence(counts[path], len(datasets), may_be_empty=path in empty), _origin(path))
        for path in sorted(counts)
    )
    return Table(caption=f"Attributes of {kind.value}", columns=("Attribute", "Presence", "Value"), rows=rows)


def attributes_of(dataset: Dataset) -> Iterator[str]:
    """Yield the elements of an object, by the names that they have in the table of attributes."""
    return map(_named, _paths(dataset))


def _paths(dataset: Dataset, above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the tags of each element with those of the sequences around it; content items have a table of their own."""
    for element in dataset:
        path = (*above, int(element.tag))
        yield path
        if element.VR == "SQ" and element.keyword != "ContentSequence":
            for item in element.value:
                yield from _paths(item, path)


def _empty(dataset: Dataset) -> set[tuple[int, ...]]:
    return {(int(element.tag),) for element in dataset if element.is_empty}


def _named(path: tuple[int, ...]) -> str:
    words = (f"{keyword_for_tag(tag) or 'private'} ({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in path)
    return " > ".join(words)


def _presence(count: int, of: int, *, may_be_empty: bool) -> str:
    presence = "always" if count == of else "where it applies"
    return f"{presence}, empty where there is no value" if may_be_empty else presence


def _origin(path: tuple[int, ...]) -> str:
    """Say where the value is from; inside sequences that is said by what they are."""
    if len(path) > 1:
        return ""
    return "of the source" if keyword_for_tag(path[0]) in COPIED else "of the result"


def _content_items(datasets: list[Dataset]) -> Table:
    found = Counter(item for dataset in datasets for item in set(content_items_of(dataset)))
    rows = tuple(
        (*item, "always" if count == len(datasets) else "where it applies") for item, count in sorted(found.items())
    )
    columns = ("Code", "Meaning", "Value type", "Relationship", "Presence")
    template = sorted({_template(dataset) for dataset in datasets})
    return Table(caption=f"Content items of TID {', '.join(template)}", columns=columns, rows=rows)


def content_items_of(container: Dataset) -> Iterator[tuple[str, str, str, str]]:
    """Yield the items below, as a row of their table begins: code, meaning, value type and relationship."""
    for item in container.get("ContentSequence", ()):
        code = item.ConceptNameCodeSequence[0] if "ConceptNameCodeSequence" in item else Dataset()
        value = f"{code.get('CodeValue', '')}, {code.get('CodingSchemeDesignator', '')}".strip(", ")
        yield value, str(code.get("CodeMeaning", "")), str(item.ValueType), str(item.RelationshipType)
        yield from content_items_of(item)


def _coded_terms(number: int, written: Mapping[ObjectKind, list[Dataset]]) -> Section:
    """Return every code that is written, as name, value, unit or purpose; those of the source are its own."""
    kinds: dict[tuple[str, str, str], set[str]] = {}
    for kind, datasets in written.items():
        for code in (code for dataset in datasets for code in _codes(dataset)):
            kinds.setdefault(code, set()).add(kind.value)
    rows = tuple((*code, ", ".join(sorted(kinds[code]))) for code in sorted(kinds) if code[1] != MADE_UP_SCHEME)
    table = Table(caption="Codes", columns=("Code", "Scheme", "Meaning", "Objects"), rows=rows)
    text = "The procedure that a report names has the procedure codes of the source, where the source has some."
    return Section(number=f"5.{number}", title="Coded terms", paragraphs=(text,), tables=(table,))


def _codes(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    for element in dataset.iterall():
        if element.VR == "SQ":
            for item in element.value:
                if "CodeValue" in item:
                    yield str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning)


def _template(dataset: Dataset) -> str:
    return str(dataset.ContentTemplateSequence[0].TemplateIdentifier)
