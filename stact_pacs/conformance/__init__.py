"""The DICOM conformance statement (PS3.2), made from the settings in force and from the tables that the code runs by.

No fact is written down twice: what is accepted, refused, answered and written is read from where it is decided, and
the attributes of the objects from objects that are made for it.
"""

from stact_pacs.conformance.document import Section, Statement, Table
from stact_pacs.conformance.markdown import as_markdown
from stact_pacs.conformance.statement import statement_of

__all__ = ["Section", "Statement", "Table", "as_markdown", "statement_of"]
