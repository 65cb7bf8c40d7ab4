"""A Llama of 2 layers, 64 wide, 256 tokens, with weights that give it opinions, as `base/` among the fixtures."""

import json
import warnings

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from fixture import OUT, normal, record_versions

warnings.filterwarnings("ignore", category=FutureWarning)

logging.disable_progress_bar()

BASE = OUT / "base"


def make() -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=112,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).float().eval()
    for number, (name, param) in enumerate(sorted(model.named_parameters())):
        if "norm" in name:
            param.data = 1 + normal(1000 + number, *param.shape, std=0.1)
        else:
            std = 1.0 if "embed" in name else 1 / param.shape[1] ** 0.5
            param.data = normal(1000 + number, *param.shape, std=std)
    return model


def load() -> LlamaForCausalLM:
    """The saved base, written if it is not there."""
    if not (BASE / "model.safetensors").exists():
        BASE.mkdir(parents=True, exist_ok=True)
        make().save_pretrained(BASE)
        record_versions()
    return LlamaForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager").eval()


def tidy(folder) -> None:
    """PEFT writes where the base model lay: a path of the machine that nobody else has."""
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = "small-llama"
    if isinstance(config["target_modules"], list):
        # Python's sets have no order.
        config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (folder / "README.md").unlink(missing_ok=True)
