"""One layer with LoRA, rsLoRA or DoRA in PEFT: output, gradients and merged weight, in float32 and in float64.

For each variant `<name>.<what>`: the inputs (float32, the same numbers in both runs) `weight`, `bias`, `A`, `B`, `magnitude`, `x` (or
`ids`), `dy` the gradient of the output, `mask` of a dropout; the results `f32.y`, `f64.y`, `f64.dx`, `f64.dA`, ...
"""

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from fixture import normal, save

IN, OUT, RANK, ALPHA = 24, 20, 4, 12

VARIANTS = {
    "lora": {},
    "lora-bias": {"bias": True},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "dora-bias": {"use_dora": True, "bias": True},
    "rsdora-bias": {"use_dora": True, "use_rslora": True, "bias": True},
    "lora-dropout": {"dropout": 0.25},
    "dora-dropout-bias": {"use_dora": True, "bias": True, "dropout": 0.25},
    "lora-embedding": {"embedding": True},
    "dora-embedding": {"embedding": True, "use_dora": True},
}


class Masked(nn.Module):
    """Dropout with a mask that is given."""

    def __init__(self, mask: torch.Tensor, probability: float) -> None:
        super().__init__()
        self.mask, self.probability = mask, probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.mask.to(x.dtype) / (1 - self.probability)


class Net(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def inputs(seed: int, *, bias=False, embedding=False, use_dora=False, dropout=0.0, **_: object) -> dict:
    given = {
        "weight": normal(seed, IN, OUT) if embedding else normal(seed, OUT, IN, std=0.5),
        "A": normal(seed + 1, RANK, IN, std=0.3),
        "B": normal(seed + 2, OUT, RANK, std=0.3),
        "dy": normal(seed + 3, 3, 5, OUT),
    }
    if embedding:
        given["ids"] = torch.randint(0, IN, (3, 5), generator=torch.Generator().manual_seed(seed), dtype=torch.int32)
    else:
        given["x"] = normal(seed + 4, 3, 5, IN)
    if bias:
        given["bias"] = normal(seed + 5, OUT)
    if use_dora:
        # Near the norms, as after some training, but not equal to them.
        norms = given["weight"].norm(dim=0 if embedding else 1)
        given["magnitude"] = norms * (1 + normal(seed + 6, OUT, std=0.1))
    if dropout:
        generator = torch.Generator().manual_seed(seed)
        given["mask"] = (torch.rand(3, 5, IN, generator=generator) >= dropout).float()
    return given


def run(given: dict, dtype: torch.dtype, *, embedding=False, bias=False, dropout=0.0, **options: object) -> dict:
    layer = nn.Embedding(IN, OUT) if embedding else nn.Linear(IN, OUT, bias=bias)
    layer.weight.data = given["weight"].clone()
    if bias:
        layer.bias.data = given["bias"].clone()
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["layer"], lora_dropout=dropout, **options)
    model = get_peft_model(Net(layer), config).to(dtype)
    adapted = model.base_model.model.layer
    halves = (
        [adapted.lora_embedding_A["default"], adapted.lora_embedding_B["default"]]
        if embedding
        else [adapted.lora_A["default"].weight, adapted.lora_B["default"].weight]
    )
    for half, name in zip(halves, "AB"):
        half.data = given[name].to(dtype)
    params = dict(zip("AB", halves))
    if "magnitude" in given:
        params["magnitude"] = adapted.lora_magnitude_vector["default"].weight
        params["magnitude"].data = given["magnitude"].to(dtype)
    model.eval()
    if dropout:
        adapted.lora_dropout["default"] = Masked(given["mask"], dropout)
        model.train()
    x = given["ids"].long() if embedding else given["x"].to(dtype).clone().requires_grad_()
    y = model(x)
    y.backward(given["dy"].to(dtype))
    results = {"y": y, **{f"d{name}": param.grad for name, param in params.items()}}
    if not embedding:
        results["dx"] = x.grad
    model.eval()
    results["merged"] = model.merge_and_unload().layer.weight
    return results


def main() -> None:
    tensors = {}
    for number, (name, options) in enumerate(VARIANTS.items()):
        given = inputs(100 * number, **options)
        for key, value in given.items():
            tensors[f"{name}.{key}"] = value
        for dtype, label in [(torch.float32, "f32"), (torch.float64, "f64")]:
            for key, value in run(given, dtype, **options).items():
                if label == "f64" or key in ("y", "merged"):
                    tensors[f"{name}.{label}.{key}"] = value
    save("layers", tensors, rank=RANK, alpha=ALPHA, variants=VARIANTS)


if __name__ == "__main__":
    main()
