"""What computed it: the versions that a run and a bundle state."""

import platform

import numpy as np
import torch

from stact_pacs import __version__


def software_versions() -> dict[str, str]:
    """Return the versions of what decides over the bits of a training."""
    return {
        "stact_pacs": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }
