"""Loads PEFT folders that were written by us into PEFT, and compares logits. Run by hand:

    node --conditions=@lowrank/source tools/oracles/write-peft-folders.ts FOLDER
    <the oracles' python> tools/oracles/load_in_peft.py FOLDER

FOLDER then holds `<name>/` as we wrote them, and `logits.json` with the tokens and the logits that we computed. Ends with 1 where PEFT
computes others.
"""

import copy
import json
import pathlib
import sys
import warnings

import torch
from peft import PeftModel

import small_llama


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    said = json.loads((folder / "logits.json").read_text())
    tokens = torch.tensor(said["tokens"])
    worst = 0.0
    for name, ours in said["logits"].items():
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model = PeftModel.from_pretrained(small_llama.load(), folder / name)
        # What PEFT only warns of: keys it does not know, tensors that are missing.
        complaints = [str(w.message) for w in told if "missing" in str(w.message) or "nexpected" in str(w.message)]
        with torch.no_grad():
            theirs = copy.deepcopy(model).double().eval()(tokens).logits
            base = small_llama.load().double()(tokens).logits
        found = torch.tensor(ours, dtype=torch.float64).reshape(theirs.shape)
        apart = ((found - theirs).abs().max() / theirs.abs().max()).item()
        moved = ((base - theirs).abs().max() / theirs.abs().max()).item()
        worst = max(worst, apart)
        print(f"{name:24} apart {apart:.1e}   from the base {moved:.2f}   {'; '.join(complaints) or 'no complaints'}")
    print(f"largest difference, in parts of the largest logit: {worst:.1e}")
    # Float32 against float64, as in e2e/peft-folders.test.ts.
    sys.exit(0 if worst < 100 * 2**-24 else 1)


if __name__ == "__main__":
    main()
