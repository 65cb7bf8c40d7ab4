"""Where fixtures go, and what they were made with."""

import importlib.metadata
import json
import pathlib
import platform

import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parents[2] / "e2e" / "oracles" / "fixtures"
PACKAGES = ["torch", "peft", "transformers", "bitsandbytes", "safetensors", "numpy"]

torch.set_num_threads(1)


def save(name: str, tensors: dict[str, torch.Tensor], **about: object) -> None:
    """Writes `<name>.safetensors`, and what is not a tensor as `<name>.json` beside it."""
    OUT.mkdir(parents=True, exist_ok=True)
    save_file({key: value.detach().contiguous().clone() for key, value in tensors.items()}, OUT / f"{name}.safetensors")
    if about:
        write_json(OUT / f"{name}.json", about)
    record_versions()


def write_json(path: pathlib.Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def record_versions() -> None:
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    versions["python"] = platform.python_version()
    versions["cpu capability"] = torch.backends.cpu.get_cpu_capability()
    write_json(OUT / "versions.json", versions)


def normal(seed: int, *shape: int, std: float = 1.0) -> torch.Tensor:
    """N(0, std^2) in float32, keyed by the seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * std
