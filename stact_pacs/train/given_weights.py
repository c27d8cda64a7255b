"""Read weights that somebody has on disk: our own, timm's, or torchvision's, whose ViT has other names."""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from stact_pacs.errors import Misconfigured

_CLASSIFIERS = ("heads.", "head.", "classifier.", "fc.")
"""How the ImageNet classifiers begin: of torchvision's ViT, timm's, MobileNet and ShuffleNet."""

_OLD_FORMAT = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files of PyTorch before 1.6 begin: its number, pickled. Torchvision still publishes some."""

_TORCHVISION = "conv_proj.weight"
"""Only torchvision's vision transformer has a tensor of this name."""

_NAMES = (
    (r"class_token", "cls_token"),
    (r"conv_proj\.", "patch_embed.proj."),
    (r"encoder\.pos_embedding", "pos_embed"),
    (r"encoder\.ln\.", "norm."),
    (r"encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"(blocks\.\d+)\.ln_1\.", r"\1.norm1."),
    (r"(blocks\.\d+)\.ln_2\.", r"\1.norm2."),
    (r"(blocks\.\d+)\.self_attention\.in_proj_", r"\1.attn.qkv."),
    (r"(blocks\.\d+)\.self_attention\.out_proj\.", r"\1.attn.proj."),
    (r"(blocks\.\d+)\.mlp\.(linear_1|0)\.", r"\1.mlp.fc1."),
    (r"(blocks\.\d+)\.mlp\.(linear_2|3)\.", r"\1.mlp.fc2."),
)
"""Torchvision's names, as published and as built, and timm's for the same tensors; applied in this order."""


def load_given(network: nn.Module, path: Path) -> nn.Module:
    """Load a network's weights from a file that is not ours: safetensors, or PyTorch's own format without code.

    The ImageNet classifier is left out; the trunk ends before it.

    Raises
    ------
    Misconfigured
        The file cannot be read, or is of another network.
    """
    try:
        tensors = _read(path)
        network.load_state_dict(timm_names(tensors), strict=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise Misconfigured(
            f"The weights {path} cannot be loaded: {error}",
            remedy="Give a safetensors or .pth file of this network: torchvision's vit_b_16 for the trunk of preset"
            " paper, its mobilenet_v2 and shufflenet_v2_x1_0 for these two.",
        ) from error
    return network.eval().requires_grad_(False)


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix in (".pth", ".pt"):
        with path.open("rb") as file:
            begins = file.read(len(_OLD_FORMAT))
        if begins != _OLD_FORMAT and not zipfile.is_zipfile(path):
            raise OSError("it is not in a format that PyTorch writes")
        tensors: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return tensors
    read: Mapping[str, Tensor] = load_file(path)
    return read


def timm_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of torchvision's vision transformer by timm's names, and any others as they are."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(_CLASSIFIERS)}
    return {_timm_name(name): tensor for name, tensor in kept.items()} if _TORCHVISION in tensors else kept


def _timm_name(name: str) -> str:
    for theirs, ours in _NAMES:
        name = re.sub(rf"^{theirs}", ours, name)
    return name
