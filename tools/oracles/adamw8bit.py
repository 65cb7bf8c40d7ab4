"""20 steps of AdamW with 8-bit block-wise state on 1,000 parameters: by bitsandbytes' optimizer on the CPU, and exactly in numpy.

`start`, `gradients` [20, 1000]; then for `bitsandbytes` and `exact` after each step `<which>.parameters` [20, 1000],
`.first.codes`, `.second.codes` [20, 1000] u8, `.first.absmax`, `.second.absmax` [20, 4]. `adamw32` is the parameters' way with 32-bit
state, by PyTorch. `from-bitsandbytes.*` are the exact codes after one step from bitsandbytes' state before it, so that one
rounding does not lead to the next.

bitsandbytes' CPU path finds a code in a table of 65,536 bins and PyTorch's sums may be fused. `exact` is the published algorithm
(Dettmers et al. 2022, arXiv 2110.02861): the nearest code of float32(x / absmax), the number of float32 midpoints strictly
below, every operation rounded to float32 by itself; but a second moment above 0 never takes the code of 0. With the
nearest alone an element whose gradients are 3,000 times smaller than its block's largest has v = 0, and its next small
gradient a step of m / epsilon: `nearestFrom32Bit` in adamw8bit.json shows it. bitsandbytes' CPU table escapes that, for its bin
around 0 has the code 7.
"""

import bitsandbytes as bnb
import bitsandbytes.functional as F
import numpy as np
import torch

from fixture import normal, save

SIZE, STEPS, BLOCK = 1000, 20, 256
SETTINGS = {"learningRate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weightDecay": 0.05}
f32 = np.float32

MAPS = {"first": F.create_dynamic_map(signed=True).numpy(), "second": F.create_dynamic_map(signed=False).numpy()}


def gradients() -> torch.Tensor:
    """Sizes that differ from element to element by powers of ten; some zeros; none at all in the second half of the third block."""
    sizes = torch.exp(normal(1, SIZE) * 1.5) * 0.01
    sizes[640:768] = 0
    values = normal(2, STEPS, SIZE) * sizes + sizes * 0.3
    values[:, ::17] = 0
    values[5] *= 20
    return values


def encode(values: np.ndarray, which: str, nearest=False) -> tuple[np.ndarray, np.ndarray]:
    book = MAPS[which]
    middles = ((book[1:] + book[:-1]) * f32(0.5)).astype(f32)
    blocks = -(-values.size // BLOCK)
    absmax = np.array([np.abs(values[b * BLOCK : (b + 1) * BLOCK]).max() for b in range(blocks)], f32)
    divisor = np.where(absmax == 0, f32(1), absmax)[np.arange(values.size) // BLOCK]
    codes = np.searchsorted(middles, values / divisor, side="left")
    if which == "second" and not nearest:
        codes = np.where(values > 0, np.maximum(codes, 1), codes)
    return codes.astype(np.uint8), absmax


def decode(codes: np.ndarray, absmax: np.ndarray, which: str) -> np.ndarray:
    return MAPS[which][codes] * absmax[np.arange(codes.size) // BLOCK]


def exact_step(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, step: int) -> tuple:
    """Every operation rounds to float32 by itself; scalars are rounded once."""
    s = SETTINGS
    beta1, beta2 = s["beta1"], s["beta2"]
    m = f32(beta1) * m + f32(1 - beta1) * g
    v = f32(beta2) * v + f32(1 - beta2) * (g * g)
    update = (f32(s["learningRate"]) * (m / f32(1 - beta1**step))) / (
        np.sqrt(v / f32(1 - beta2**step)) + f32(s["epsilon"])
    )
    p = p * f32(1 - s["learningRate"] * s["weightDecay"]) - update
    assert p.dtype == m.dtype == v.dtype == f32
    return p, m, v


def exact_trace(start: np.ndarray, grads: np.ndarray, nearest=False) -> list[dict]:
    p = start
    state = {which: encode(np.zeros(SIZE, f32), which) for which in MAPS}
    trace = []
    for step in range(1, STEPS + 1):
        m, v = (decode(*state[which], which) for which in MAPS)
        p, m, v = exact_step(p, grads[step - 1], m, v, step)
        state = {"first": encode(m, "first"), "second": encode(v, "second", nearest)}
        trace.append({"parameters": p, **{f"{w}.{k}": a for w in MAPS for k, a in zip(("codes", "absmax"), state[w])}})
    return trace


def bitsandbytes_trace(start: torch.Tensor, grads: torch.Tensor) -> list[dict]:
    p = torch.nn.Parameter(start.clone())
    optimizer = bnb.optim.AdamW(
        [p],
        lr=SETTINGS["learningRate"],
        betas=(SETTINGS["beta1"], SETTINGS["beta2"]),
        eps=SETTINGS["epsilon"],
        weight_decay=SETTINGS["weightDecay"],
        optim_bits=8,
        min_8bit_size=1,
    )
    trace = []
    for grad in grads:
        p.grad = grad.clone()
        optimizer.step()
        state = optimizer.state[p]
        assert state["state1"].dtype == torch.uint8
        trace.append(
            {
                "parameters": p.detach().clone().numpy(),
                "first.codes": state["state1"].clone().numpy(),
                "first.absmax": state["absmax1"].clone().numpy(),
                "second.codes": state["state2"].clone().numpy(),
                "second.absmax": state["absmax2"].clone().numpy(),
            }
        )
    assert torch.equal(state["qmap1"], torch.from_numpy(MAPS["first"]))
    assert torch.equal(state["qmap2"], torch.from_numpy(MAPS["second"]))
    return trace


def adamw32(start: torch.Tensor, grads: torch.Tensor) -> torch.Tensor:
    p = torch.nn.Parameter(start.clone())
    s = SETTINGS
    optimizer = torch.optim.AdamW(
        [p], lr=s["learningRate"], betas=(s["beta1"], s["beta2"]), eps=s["epsilon"], weight_decay=s["weightDecay"]
    )
    rows = []
    for grad in grads:
        p.grad = grad.clone()
        optimizer.step()
        rows.append(p.detach().clone())
    return torch.stack(rows)


def one_step_each(start: np.ndarray, grads: np.ndarray, trace: list[dict]) -> dict:
    """Exact codes after step t from bitsandbytes' state after step t - 1."""
    rows: dict = {f"{which}.codes": [] for which in MAPS}
    p = start
    state = {which: encode(np.zeros(SIZE, f32), which) for which in MAPS}
    for step in range(1, STEPS + 1):
        m, v = (decode(*state[which], which) for which in MAPS)
        _, m, v = exact_step(p, grads[step - 1], m, v, step)
        rows["first.codes"].append(encode(m, "first")[0])
        rows["second.codes"].append(encode(v, "second")[0])
        row = trace[step - 1]
        p = row["parameters"]
        state = {which: (row[f"{which}.codes"], row[f"{which}.absmax"]) for which in MAPS}
    return rows


def main() -> None:
    start, grads = normal(3, SIZE), gradients()
    traces = {"bitsandbytes": bitsandbytes_trace(start, grads), "exact": exact_trace(start.numpy(), grads.numpy())}
    tensors = {"start": start, "gradients": grads, "adamw32": adamw32(start, grads)}
    for which, name in (("first", "map.signed"), ("second", "map.unsigned")):
        tensors[name] = torch.from_numpy(MAPS[which])
    for which, trace in traces.items():
        for key in trace[0]:
            tensors[f"{which}.{key}"] = torch.from_numpy(np.stack([row[key] for row in trace]))
    single = one_step_each(start.numpy(), grads.numpy(), traces["bitsandbytes"])
    counts = {}
    for key, rows in single.items():
        tensors[f"from-bitsandbytes.{key}"] = torch.from_numpy(np.stack(rows))
        counts[key] = int((np.stack(rows) != tensors[f"bitsandbytes.{key}"].numpy()).sum())
    nearest = np.stack([row["parameters"] for row in exact_trace(start.numpy(), grads.numpy(), nearest=True)])
    apart = lambda found: (found - tensors["adamw32"]).abs().amax(dim=1).tolist()
    save(
        "adamw8bit",
        tensors,
        settings=SETTINGS,
        blockSize=BLOCK,
        codesUnlikeTheExactOnesAfterOneStep={**counts, "of": SIZE * STEPS},
        bitsandbytesFrom32Bit=apart(tensors["bitsandbytes.parameters"]),
        exactFrom32Bit=apart(tensors["exact.parameters"]),
        nearestFrom32Bit=apart(torch.from_numpy(nearest)),
    )


if __name__ == "__main__":
    main()
