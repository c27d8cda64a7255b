"""What every section of the settings file shares: its base class and its kinds of value."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$")]
"""An application entity title: 1 to 16 printable ASCII characters, no backslash, not only spaces (PS3.5 6.2)."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A section of the settings file: frozen, and a name that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
