"""NF4 and FP4 by bitsandbytes' CPU path, and by the exact algorithm in numpy.

For each case `<format>-<block size>-<weights>.<what>`: `codes` (bitsandbytes' bytes, two codes each, the first in the high nibble),
`absmax` and for a few `dequantized`; with double quantization `nested.codes`, `nested.absmax`, `nested.offset`; `weights.<weights>` are
the inputs, `map.dynamic` and `map.dynamic.unsigned` the 256-entry maps. `exact.<what>` is what the exact algorithm gives:
`exact.codes` only where they differ (in this file nowhere), `exact.nested.*` always.

bitsandbytes' CPU path departs from the exact algorithm in two places:

- In a last block that is not full it divides by absmax where full blocks are multiplied by its reciprocal.
- It looks the 8-bit codes of the absmax up in a table of 65,536 bins, so that some lie one off the nearest.

FP4 has two codes of 0: bitsandbytes' CPU path gives 8 to what lies above 0 and up to the first midpoint, and 0 to 0 itself and to what
lies below it. Both decode to 0.
"""

import bitsandbytes.functional as F
import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

from fixture import normal, save

BLOCK_SIZES = [32, 64, 128, 256]


def with_ties() -> torch.Tensor:
    """Blocks of 32 with absmax 1, 2 or 0.75 that hold the codebooks' values, their midpoints, and both neighbours of each."""
    values = []
    for kind in ("nf4", "fp4"):
        book = codebook(kind)
        middles = (np.sort(book)[1:] + np.sort(book)[:-1]) / np.float32(2)
        for base in (book, middles.astype(np.float32)):
            values += [base, np.nextafter(base, np.float32(2)), np.nextafter(base, np.float32(-2))]
    flat = np.clip(np.concatenate(values).astype(np.float32), -1, 1)
    flat = flat[: flat.size // 31 * 31].reshape(-1, 31)
    blocks = np.concatenate([np.ones((len(flat), 1), np.float32), flat], axis=1)
    return torch.from_numpy(np.concatenate([blocks, blocks * np.float32(2), blocks * np.float32(0.75)]).reshape(-1))


def weights() -> dict[str, torch.Tensor]:
    partial = normal(2, 1000, std=0.02)
    odd = normal(3, 333)
    zeros = normal(4, 1024)
    zeros[256:600] = 0
    zeros[700:710] = -0.0
    # A whole matrix whose rows are no multiple of a block, with enough blocks for two nested blocks at 32.
    return {
        "matrix": normal(1, 96, 100, std=0.05).reshape(-1),
        "partial": partial,
        "odd": odd,
        "zeros": zeros,
        "ties": with_ties(),
        "tiny": normal(5, 512, std=1e-30),
        "one": normal(6, 1),
    }


def codebook(kind: str) -> np.ndarray:
    return F.get_4bit_type(kind, device="cpu").numpy().astype(np.float32)


def nearest(values: np.ndarray, book: np.ndarray) -> np.ndarray:
    """Codes of a sorted book's nearest values: the number of float32 midpoints strictly below."""
    middles = ((book[1:] + book[:-1]) / np.float32(2)).astype(np.float32)
    return np.searchsorted(middles, values, side="left")


def absmax_of(values: np.ndarray, block_size: int) -> np.ndarray:
    blocks = -(-values.size // block_size)
    padded = np.zeros(blocks * block_size, np.float32)
    padded[: values.size] = np.abs(values)
    return padded.reshape(blocks, block_size).max(axis=1)


def exact_codes(values: np.ndarray, absmax: np.ndarray, block_size: int, kind: str) -> np.ndarray:
    """x times the float32 reciprocal of its block's absmax, then the nearest; packed."""
    with np.errstate(divide="ignore", over="ignore"):
        reciprocal = np.float32(1) / np.maximum(absmax, np.float32(1e-38))
    scaled = np.clip(values * reciprocal[np.arange(values.size) // block_size], np.float32(-1), np.float32(1))
    if values.size % 2:
        scaled = np.append(scaled, np.float32(0))
    book = codebook(kind)
    if kind == "nf4":
        codes = nearest(scaled, book)
    else:
        # Two codes are 0: the first is taken up to 0, the second above it.
        order = np.argsort(book, kind="stable")
        codes = order[nearest(scaled, book[order])]
    codes = codes.astype(np.uint8)
    return (codes[::2] << 4) | codes[1::2]


def exact_dynamic(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    absmax = absmax_of(values, 256)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = values * (np.float32(1) / absmax)[np.arange(values.size) // 256]
    return nearest(scaled, F.create_dynamic_map().numpy()).astype(np.uint8), absmax


def case(tensors: dict, about: dict, kind: str, block_size: int, name: str, given: torch.Tensor) -> None:
    key = f"{kind}-{block_size}-{name}"
    packed, state = F.quantize_4bit(given, blocksize=block_size, quant_type=kind)
    codes = packed.reshape(-1)
    tensors[f"{key}.codes"] = codes
    tensors[f"{key}.absmax"] = state.absmax
    # Not `dequantize_4bit`: its AVX-512 path is wrong for some row lengths.
    decode = lambda absmax: _dequantize_4bit_compute(codes, absmax, state.code, block_size, given.shape, torch.float32)
    if name == "matrix" and block_size == 64:
        tensors[f"{key}.dequantized"] = decode(state.absmax)
    exact = exact_codes(given.numpy(), state.absmax.numpy(), block_size, kind)
    different = int((exact != codes.numpy()).sum())
    if different:
        tensors[f"{key}.exact.codes"] = torch.from_numpy(exact)
    about[key] = {"weights": given.numel(), "bytes unlike the exact codes": different}
    if name not in ("matrix", "partial"):
        return
    _, double = F.quantize_4bit(given, blocksize=block_size, quant_type=kind, compress_statistics=True)
    nested, offset = double.state2, double.offset
    tensors[f"{key}.nested.codes"] = double.absmax
    tensors[f"{key}.nested.absmax"] = nested.absmax
    tensors[f"{key}.nested.offset"] = offset.reshape(1)
    offset64 = np.float32(state.absmax.numpy().astype(np.float64).mean())
    if offset64 != offset.item():
        tensors[f"{key}.exact.nested.offset"] = torch.tensor([offset64])
    from_exact, nested_absmax = exact_dynamic(state.absmax.numpy() - offset64)
    about[key]["nested codes unlike the exact ones"] = int((from_exact != double.absmax.numpy()).sum())
    about[key]["nested codes"] = double.absmax.numel()
    tensors[f"{key}.exact.nested.codes"] = torch.from_numpy(from_exact)
    tensors[f"{key}.exact.nested.absmax"] = torch.from_numpy(nested_absmax)
    if name == "matrix" and block_size == 64:
        absmax = F.create_dynamic_map().numpy()[from_exact] * nested_absmax[np.arange(from_exact.size) // 256]
        tensors[f"{key}.exact.nested.dequantized"] = decode(torch.from_numpy((absmax + offset64).astype(np.float32)))


def mean_errors() -> dict[str, float]:
    """Mean |error| on N(0, 1), 1024 x 1024."""
    given = normal(9, 1024 * 1024)
    errors = {}
    for kind in ("nf4", "fp4"):
        for block_size in BLOCK_SIZES:
            packed, state = F.quantize_4bit(given, blocksize=block_size, quant_type=kind)
            back = _dequantize_4bit_compute(
                packed.reshape(-1), state.absmax, state.code, block_size, given.shape, torch.float32
            )
            errors[f"{kind}-{block_size}"] = (back - given).abs().mean().item()
    return errors


def main() -> None:
    tensors: dict = {"map.dynamic": F.create_dynamic_map(), "map.dynamic.unsigned": F.create_dynamic_map(signed=False)}
    about: dict = {}
    for name, given in weights().items():
        tensors[f"weights.{name}"] = given
        for kind in ("nf4", "fp4"):
            for block_size in BLOCK_SIZES:
                if block_size != 32 and name in ("ties", "one"):
                    continue
                case(tensors, about, kind, block_size, name, given)
    save("four-bit", tensors, cases=about, meanErrors=mean_errors())


if __name__ == "__main__":
    main()
