"""Fine-tuning steps by PyTorch and PEFT, in a process of their own.

    python train.py <Hugging Face folder> <settings as JSON>

Settings: adapter ("lora" or "dora"), rank, alpha, targets ("all-linear" or a list of names), batch, length, threads, checkpointing, and
bf16 (default: no), which runs the model under autocast.
Says on stdout, as one JSON object a line, that it is loaded, and then answers each {"steps": n}; see bench/training/settings.ts.
Tokens are those of that file: token i of step s is (7919 i + 104729 s) mod vocabulary.
"""

import json
import os
import sys
import time

started = time.perf_counter()
settings = json.loads(sys.argv[2])
os.environ["OMP_NUM_THREADS"] = str(settings["threads"])

import torch  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402


def peak_bytes() -> int:
    # Not ru_maxrss: a child starts with its parent's, as it was before it became another program.
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def say(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


def main() -> None:
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
    model.config.use_cache = False
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        target_modules=settings["targets"],
        use_dora=settings["adapter"] == "dora",
    )
    if settings["checkpointing"]:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    model = get_peft_model(model, config)
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=2e-4, weight_decay=0.0)
    batch, length, vocabulary = settings["batch"], settings["length"], model.config.vocab_size
    say(
        {
            "loadSeconds": time.perf_counter() - started,
            "trainable": sum(parameter.numel() for parameter in parameters),
            "version": torch.__version__,
        }
    )

    step = 0
    for line in sys.stdin:
        losses = []
        begin = time.perf_counter()
        for _ in range(json.loads(line)["steps"]):
            ids = (7919 * torch.arange(batch * length) + 104729 * step) % vocabulary
            ids = ids.reshape(batch, length)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.get("bf16", False)):
                loss = model(input_ids=ids, labels=ids).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            step += 1
        now = time.perf_counter()
        say({"seconds": now - begin, "sinceStart": now - started, "losses": losses, "peakBytes": peak_bytes()})


if __name__ == "__main__":
    main()
