"""Makes e2e/oracles/fixtures anew.

    python3 tools/oracles/make.py [name ...]

Without names it makes all: layers, four_bit, inits, combinations, adamw8bit, folders, training. The packages of requirements.txt
are installed in a virtual environment in the cache folder (`oracles` in $LOWRANK_CACHE, else in the system's place for caches),
or in the one that $LOWRANK_ORACLES names. Needs Python 3.11 or newer.
"""

import os
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).parent
NAMES = ["layers", "four_bit", "inits", "combinations", "adamw8bit", "folders", "training"]


def cache_folder() -> pathlib.Path:
    """The folder that packages/models/src/fetch/cache-folder.ts says."""
    home = pathlib.Path.home()
    if own := os.environ.get("LOWRANK_CACHE"):
        return pathlib.Path(own)
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "lowrank" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "lowrank"
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "lowrank"


def environment() -> pathlib.Path:
    """The Python of a virtual environment with the requirements in it."""
    given = os.environ.get("LOWRANK_ORACLES")
    folder = pathlib.Path(given) if given else cache_folder() / "oracles" / "venv"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"], check=True)
    return python


def main() -> None:
    names = sys.argv[1:] or NAMES
    for name in names:
        if name not in NAMES:
            sys.exit(f"{name} is unknown; there are {', '.join(NAMES)}")
    python = environment()
    for name in names:
        print(name, flush=True)
        # Same bits on every machine as far as PyTorch goes: one thread, and no choice of kernels by the processor.
        settings = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        subprocess.run([python, HERE / f"{name}.py"], check=True, env={**os.environ, **settings})


if __name__ == "__main__":
    main()
