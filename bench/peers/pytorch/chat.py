"""A fine-tuning by PyTorch and PEFT on the demo's data, as transformers' Trainer does it: examples padded to the longest of their
batch, AdamW, linear schedule with warm-up, clipping. In a process of its own.

    python chat.py <Hugging Face folder> <settings as JSON>

Settings, data and answers: bench/chat/protocol.ts.
"""

import json
import math
import os
import sys
import time

settings = json.loads(sys.argv[2])
os.environ["OMP_NUM_THREADS"] = str(settings["threads"])

import torch  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, get_linear_schedule_with_warmup  # noqa: E402

from train import peak_bytes, say  # noqa: E402


def padded(examples: list) -> dict:
    width = max(len(example["ids"]) for example in examples)
    rows = {"input_ids": [], "attention_mask": [], "labels": []}
    for example in examples:
        ids, trained = example["ids"], example["trained"]
        padding = width - len(ids)
        rows["input_ids"].append(ids + [0] * padding)
        rows["attention_mask"].append([1] * len(ids) + [0] * padding)
        rows["labels"].append([t if learn else -100 for t, learn in zip(ids, trained)] + [-100] * padding)
    return {name: torch.tensor(values) for name, values in rows.items()}


def batches(examples: list, size: int, generator: torch.Generator | None = None) -> list:
    count = len(examples)
    order = range(count) if generator is None else torch.randperm(count, generator=generator).tolist()
    chosen = [examples[i] for i in order]
    return [padded(chosen[i : i + size]) for i in range(0, count, size)]


def evaluate(model: torch.nn.Module, held: list) -> float:
    model.eval()
    total, tokens = 0.0, 0
    with torch.no_grad():
        for batch in batches(held, settings["evalBatchSize"]):
            count = int((batch["labels"][:, 1:] != -100).sum())
            total += model(**batch).loss.item() * count
            tokens += count
    model.train()
    return total / tokens


def run(folder: str, data: dict) -> dict:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.config.use_cache = False
    config = LoraConfig(
        task_type="CAUSAL_LM", r=settings["rank"], lora_alpha=settings["alpha"], target_modules="all-linear"
    )
    model = get_peft_model(model, config)
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=settings["learningRate"], weight_decay=0.0)
    size = settings["batchSize"]
    steps = settings["epochs"] * math.ceil(len(data["train"]) / size)
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(0.03 * steps), steps)
    generator = torch.Generator().manual_seed(0)
    curve, evaluating, step = [], 0.0, 0
    begin = time.perf_counter()
    for _ in range(settings["epochs"]):
        for batch in batches(data["train"], size, generator):
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            step += 1
            if step % settings["evalEvery"] == 0 or step == steps:
                now = time.perf_counter()
                curve.append({"step": step, "seconds": now - begin - evaluating, "loss": evaluate(model, data["held"])})
                evaluating += time.perf_counter() - now
    return {"curve": curve, "peakBytes": peak_bytes()}


def main() -> None:
    torch.set_num_threads(settings["threads"])
    with open(settings["data"]) as file:
        data = json.load(file)
    say({})
    for _ in sys.stdin:
        say(run(sys.argv[1], data))


if __name__ == "__main__":
    main()
