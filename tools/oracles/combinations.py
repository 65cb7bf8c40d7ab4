"""Weighted combinations of adapters by PEFT's `add_weighted_adapter`.

Three adapters `first`, `second`, `third` on a linear layer `linear` [20, 24] and an embedding `embedding` [24, 16]; `third` has rank 6, the
others rank 4, each an alpha of its own: `<adapter>.<layer>.A`, `.B`. A case `<case>.<layer>.A`, `.B`, `.delta` (B A times the
scale, in the weight's layout) holds the combination; combinations.json says which adapters, weights and options. DARE's masks
are random and recorded in the order drawn: `<case>.<layer>.mask.<adapter>.A`, `.B`, or for the `_svd` kinds
`<case>.<layer>.mask.<adapter>` of the whole change.
"""

import peft.utils.merge_utils as merge_utils
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from fixture import normal, save

ADAPTERS = {"first": (4, 8), "second": (4, 6), "third": (6, 6)}
CASES = {
    "linear": {"adapters": ["first", "second"], "weights": [0.7, 0.4], "combination_type": "linear"},
    "linear-negative": {"adapters": ["first", "second"], "weights": [1.0, -0.5], "combination_type": "linear"},
    "cat": {"adapters": ["first", "third"], "weights": [0.7, 0.4], "combination_type": "cat"},
    "cat-negative": {"adapters": ["first", "second", "third"], "weights": [1, -0.5, 0.25], "combination_type": "cat"},
    "svd": {"adapters": ["first", "third"], "weights": [0.7, 0.4], "combination_type": "svd"},
    "svd-rank": {"adapters": ["first", "second"], "weights": [0.7, 0.4], "combination_type": "svd", "svd_rank": 8},
    "ties": {
        "adapters": ["first", "second"],
        "weights": [0.7, 0.4],
        "combination_type": "ties",
        "density": 0.5,
    },
    "ties-frequency": {
        "adapters": ["first", "second"],
        "weights": [1.0, 1.0],
        "combination_type": "ties",
        "density": 0.3,
        "majority_sign_method": "frequency",
    },
    "ties-svd": {
        "adapters": ["first", "third"],
        "weights": [0.7, 0.4],
        "combination_type": "ties_svd",
        "density": 0.5,
    },
    "dare-linear": {
        "adapters": ["first", "second"],
        "weights": [0.7, 0.4],
        "combination_type": "dare_linear",
        "density": 0.5,
    },
    "dare-ties": {
        "adapters": ["first", "second"],
        "weights": [0.7, 0.4],
        "combination_type": "dare_ties",
        "density": 0.6,
    },
    "dare-linear-svd": {
        "adapters": ["first", "third"],
        "weights": [0.7, 0.4],
        "combination_type": "dare_linear_svd",
        "density": 0.5,
    },
    "magnitude-prune": {
        "adapters": ["first", "second"],
        "weights": [0.7, 0.4],
        "combination_type": "magnitude_prune",
        "density": 0.5,
    },
}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(24, 16)
        self.linear = nn.Linear(24, 20, bias=False)


def halves(layer: nn.Module, name: str) -> list[nn.Parameter]:
    if name in layer.lora_embedding_A:
        return [layer.lora_embedding_A[name], layer.lora_embedding_B[name]]
    return [layer.lora_A[name].weight, layer.lora_B[name].weight]


def main() -> None:
    torch.manual_seed(0)
    model = None
    for name, (rank, alpha) in ADAPTERS.items():
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["linear", "embedding"])
        if model is None:
            model = get_peft_model(Net(), config, adapter_name=name)
        else:
            model.add_adapter(name, config)
    net = model.base_model.model
    layers = {"linear": net.linear, "embedding": net.embedding}
    tensors = {}
    for number, name in enumerate(ADAPTERS):
        for at, (layer_name, layer) in enumerate(layers.items()):
            for half, (param, label) in enumerate(zip(halves(layer, name), "AB")):
                param.data = normal(100 * number + 10 * at + half, *param.shape, std=0.3)
                tensors[f"{name}.{layer_name}.{label}"] = param
    masks: list[torch.Tensor] = []
    bernoulli = torch.bernoulli

    def recording(*args, **options):
        mask = bernoulli(*args, **options)
        masks.append(mask)
        return mask

    merge_utils.torch.bernoulli = recording
    for number, (case, options) in enumerate(CASES.items()):
        masks.clear()
        torch.manual_seed(number)
        model.add_weighted_adapter(adapter_name=case, **options)
        for layer_name, layer in layers.items():
            for param, label in zip(halves(layer, case), "AB"):
                tensors[f"{case}.{layer_name}.{label}"] = param
            tensors[f"{case}.{layer_name}.delta"] = layer.get_delta_weight(case)
        name_masks(tensors, case, options, masks, layers)
    # How it weighs: linear, ties, dare and pruning by the root of weight and scale on both halves, and the new alpha is the new rank.
    save("combinations", tensors, adapters={k: {"r": r, "alpha": a} for k, (r, a) in ADAPTERS.items()}, cases=CASES)


def name_masks(tensors: dict, case: str, options: dict, masks: list, layers: dict) -> None:
    """PEFT goes over the layers in the model's order; in each over the A's and then the B's, adapter by adapter."""
    if not masks:
        return
    left = iter(masks)
    for layer_name in ("embedding", "linear"):
        for half in [""] if options["combination_type"].endswith("_svd") else [".A", ".B"]:
            for adapter in options["adapters"]:
                mask = next(left)
                if half:
                    assert mask.shape == tensors[f"{adapter}.{layer_name}{half}"].shape
                tensors[f"{case}.{layer_name}.mask.{adapter}{half}"] = mask
    assert next(left, None) is None


if __name__ == "__main__":
    main()
