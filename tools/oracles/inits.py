"""Starts that take part of the weight: PiSSA and OLoRA in PEFT, with and without rsLoRA's scale.

For each case `<init>[-rs]-<shape>.<what>`: `weight` [out, in] as it was, then `A`, `B`, `residual` (the base's weight from then on), and
`scale`. PiSSA's singular vectors are free in sign: B A is not. `singular` are all of the weight's singular values in float64.
Orthogonal starts are random: only `A`, `B`, for their statistics.
"""

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from fixture import normal, save

RANK, ALPHA = 4, 6


class Net(nn.Module):
    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.layer.weight.data = weight.clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def main() -> None:
    tensors = {}
    for seed, (rows, columns) in enumerate([(20, 24), (24, 20), (16, 16)]):
        shape = f"{rows}x{columns}"
        weight = normal(seed, rows, columns, std=0.5)
        tensors[f"weight-{shape}"] = weight
        tensors[f"singular-{shape}"] = torch.linalg.svdvals(weight.double())
        for init in ("pissa", "olora", "orthogonal"):
            for rs in (False, True):
                torch.manual_seed(seed)
                model = get_peft_model(
                    Net(weight),
                    LoraConfig(
                        r=RANK, lora_alpha=ALPHA, use_rslora=rs, init_lora_weights=init, target_modules=["layer"]
                    ),
                )
                layer = model.base_model.model.layer
                key = f"{init}{'-rs' if rs else ''}-{shape}"
                tensors[f"{key}.A"] = layer.lora_A["default"].weight
                tensors[f"{key}.B"] = layer.lora_B["default"].weight
                tensors[f"{key}.scale"] = torch.tensor([layer.scaling["default"]], dtype=torch.float64)
                if init != "orthogonal":
                    tensors[f"{key}.residual"] = layer.base_layer.weight
    save("inits", tensors, rank=RANK, alpha=ALPHA)


if __name__ == "__main__":
    main()
