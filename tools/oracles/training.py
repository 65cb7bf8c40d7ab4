"""Ten training steps of the small Llama with LoRA and with DoRA by PEFT and PyTorch, `training/<name>/`.

`initial/` and `final/` are PEFT folders before the first and after the last step. training.json has the settings, the batches (token
ids and labels, -100 where not trained; sequences of unequal length) and, for each step, learning rate, loss (the mean over the
trained tokens of the batch) and the gradient's norm before clipping; `losses64` are the same steps in float64.
training.safetensors: `<name>.step<n>.<PEFT's key>`, the gradients of steps 1 and 3, before clipping.
"""

import copy
import shutil

import torch
from peft import LoraConfig, get_peft_model
from transformers import get_linear_schedule_with_warmup

import small_llama
from fixture import OUT, save

STEPS = 10
RUNS = {
    "lora": dict(r=4, lora_alpha=8, target_modules="all-linear"),
    "rslora": dict(r=4, lora_alpha=4, use_rslora=True, target_modules=["q_proj", "v_proj", "up_proj"]),
    "dora": dict(r=4, lora_alpha=8, use_dora=True, target_modules="all-linear"),
}
SETTINGS = {"learningRate": 5e-3, "warmup": 2, "weightDecay": 0.01, "maxGradNorm": 0.6, "epsilon": 1e-8}
GRADIENTS_OF = (1, 3)


def batches() -> list[list[dict]]:
    """Counting in threes from a prompt: something to be learned. Two batches in turn."""
    generator = torch.Generator().manual_seed(11)
    examples = []
    for number in range(8):
        length = 10 + int(torch.randint(0, 12, (1,), generator=generator))
        first = int(torch.randint(3, 120, (1,), generator=generator))
        ids = [1] + [first + 3 * i for i in range(length)]
        labels = [-100] * 4 + ids[4:]
        examples.append({"ids": ids, "labels": labels})
    return [examples[:4], examples[4:]]


def padded(batch: list[dict]) -> dict:
    width = max(len(example["ids"]) for example in batch)
    fill = lambda values, with_: values + [with_] * (width - len(values))
    return {
        "input_ids": torch.tensor([fill(example["ids"], 0) for example in batch]),
        "labels": torch.tensor([fill(example["labels"], -100) for example in batch]),
        "attention_mask": torch.tensor([fill([1] * len(example["ids"]), 0) for example in batch]),
    }


def train(model: torch.nn.Module, data: list) -> tuple[list, dict]:
    model.train()
    params = [param for param in model.parameters() if param.requires_grad]
    s = SETTINGS
    optimizer = torch.optim.AdamW(params, lr=s["learningRate"], weight_decay=s["weightDecay"], eps=s["epsilon"])
    scheduler = get_linear_schedule_with_warmup(optimizer, s["warmup"], STEPS)
    steps, gradients = [], {}
    for step in range(1, STEPS + 1):
        loss = model(**padded(data[(step - 1) % len(data)])).loss
        loss.backward()
        if step in GRADIENTS_OF:
            for name, param in model.named_parameters():
                if param.requires_grad:
                    gradients[f"step{step}.{name.replace('.default', '')}"] = param.grad.clone()
        norm = torch.nn.utils.clip_grad_norm_(params, s["maxGradNorm"])
        rate = scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        steps.append({"learningRate": rate, "loss": loss.item(), "gradNorm": norm.item()})
    return steps, gradients


def main() -> None:
    data = batches()
    tensors, runs = {}, {}
    for number, (name, options) in enumerate(RUNS.items()):
        torch.manual_seed(number)
        model = get_peft_model(small_llama.load(), LoraConfig(task_type="CAUSAL_LM", **options))
        folder = OUT / "training" / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder / "initial")
        small_llama.tidy(folder / "initial")
        exact, _ = train(copy.deepcopy(model).double(), data)
        steps, gradients = train(model, data)
        model.save_pretrained(folder / "final")
        small_llama.tidy(folder / "final")
        for key, value in gradients.items():
            tensors[f"{name}.{key}"] = value
        runs[name] = {"steps": steps, "losses64": [step["loss"] for step in exact]}
    save("training", tensors, settings=SETTINGS, batches=data, runs=runs)


if __name__ == "__main__":
    main()
