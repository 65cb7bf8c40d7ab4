"""Adapters on the small Llama as PEFT saves them, `folders/<name>/`, and the logits that each gives.

folders.safetensors: `tokens` [2, 6], `base.logits` [2, 6, 256] without adapter, `<name>.logits` with it: computed in
float64 from the float32 weights, rounded to float32. A's and B's are random, none is zero; magnitudes lie near the norms.
"""

import copy
import shutil

import torch
from peft import LoraConfig, PeftModel, get_peft_model

import small_llama
from fixture import OUT, normal, save

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FOLDERS = {
    "lora": dict(r=4, lora_alpha=8, target_modules="all-linear"),
    "rslora": dict(r=4, lora_alpha=4, use_rslora=True, target_modules=["q_proj", "v_proj"]),
    "dora": dict(r=4, lora_alpha=8, use_dora=True, target_modules=["q_proj", "k_proj", "down_proj"]),
    "patterns": dict(
        r=4,
        lora_alpha=8,
        target_modules=ALL,
        rank_pattern={"layers.0.self_attn.q_proj": 2, "down_proj": 6, r".*\.1\.self_attn\.[kv]_proj": 3},
        alpha_pattern={"down_proj": 3, r"^model\.layers\.1\.mlp\.up_proj": 16},
    ),
    "rslora-patterns": dict(
        r=4, lora_alpha=4, use_rslora=True, target_modules=ALL[:4], rank_pattern={"k_proj": 2}, alpha_pattern={"v_proj": 1}
    ),
    "dora-patterns": dict(r=4, lora_alpha=8, use_dora=True, target_modules=ALL, rank_pattern={"v_proj": 2}),
    "layers": dict(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], layers_to_transform=[1], layers_pattern="layers"
    ),
    "regex": dict(r=4, lora_alpha=8, target_modules=r".*\.0\..*(q|up)_proj", exclude_modules=["o_proj"]),
    "embeddings": dict(r=4, lora_alpha=8, target_modules=["embed_tokens", "q_proj"]),
    "dora-embeddings": dict(r=4, lora_alpha=8, use_dora=True, target_modules=["embed_tokens", "v_proj"]),
    "lm-head": dict(r=4, lora_alpha=8, target_modules=["lm_head"]),
    "modules-to-save": dict(r=4, lora_alpha=8, target_modules=["q_proj"], modules_to_save=["lm_head"]),
}
CONVERTED = {
    "pissa": dict(r=4, lora_alpha=8, init_lora_weights="pissa", target_modules=["q_proj", "up_proj"]),
    "olora": dict(r=4, lora_alpha=8, init_lora_weights="olora", target_modules=["q_proj", "up_proj"]),
    "pissa-rslora": dict(
        r=4, lora_alpha=8, use_rslora=True, init_lora_weights="pissa", target_modules=["q_proj", "up_proj"]
    ),
}


def stir(model: PeftModel, seed: int) -> None:
    """As if it had been trained."""
    for number, (name, param) in enumerate(sorted(model.named_parameters())):
        if not param.requires_grad:
            continue
        noise = normal(seed + number, *param.shape)
        if "magnitude" in name:
            param.data = param.data * (1 + 0.1 * noise)
        elif "lora_" in name:
            param.data = param.data * 0.5 + 0.1 * noise
        else:
            param.data = param.data + 0.05 * noise


def logits(model: torch.nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return copy.deepcopy(model).double().eval()(tokens).logits.float()


def folder_of(name: str):
    folder = OUT / "folders" / name
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def main() -> None:
    tokens = torch.randint(3, 256, (2, 6), generator=torch.Generator().manual_seed(5))
    tensors = {"tokens": tokens.int(), "base.logits": logits(small_llama.load(), tokens)}
    for number, (name, options) in enumerate(FOLDERS.items()):
        torch.manual_seed(number)
        model = get_peft_model(small_llama.load(), LoraConfig(task_type="CAUSAL_LM", **options))
        stir(model, 10_000 * number)
        folder = folder_of(name)
        model.save_pretrained(folder)
        small_llama.tidy(folder)
        # What counts is what the file gives.
        tensors[f"{name}.logits"] = logits(PeftModel.from_pretrained(small_llama.load(), folder), tokens)
    for number, (name, options) in enumerate(CONVERTED.items()):
        torch.manual_seed(100 + number)
        model = get_peft_model(small_llama.load(), LoraConfig(task_type="CAUSAL_LM", **options))
        # The start has to lie in a folder, under the name of no init, or PEFT decomposes again on loading.
        config = model.peft_config["default"]
        init, config.init_lora_weights = config.init_lora_weights, True
        start = OUT / "start"
        model.save_pretrained(start)
        config.init_lora_weights = init
        stir(model, 10_000 * (100 + number))
        folder = folder_of(f"{name}-converted")
        tensors[f"{name}-converted.logits"] = logits(model, tokens)
        model.save_pretrained(folder, path_initial_model_for_weight_conversion=start)
        small_llama.tidy(folder)
        shutil.rmtree(start)
        back = logits(PeftModel.from_pretrained(small_llama.load(), folder), tokens)
        assert (back - tensors[f"{name}-converted.logits"]).abs().max() < 1e-3, name
    save("folders", tensors)


if __name__ == "__main__":
    main()
