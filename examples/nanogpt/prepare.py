"""Cut the Python standard library's own sources into a byte-level corpus. No download.

    prepare.py train      writes train.npy into PAWL_SETUP, for the runs
    prepare.py holdout    writes select.npy and seal.npy into PAWL_SETUP, for the evaluator

A file belongs to one split by the digest of its name, so the splits share no file, and the same Python gives
the same corpus on every machine.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from pathlib import Path

import numpy as np

# Folders that are no part of the library, are not installed everywhere, or hold tables instead of text.
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "encodings"}
SLOTS = 12  # of the digest: one for each validation split, the rest for training
SLOT_OF = {"select": 0, "seal": 1}


def split_of(name: str) -> str:
    """The split a file belongs to, by its path relative to the library."""
    slot = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") % SLOTS
    return next((split for split, own in SLOT_OF.items() if own == slot), "train")


def corpus(library: Path) -> dict[str, bytes]:
    """All splits, each the concatenation of its files in the order of their names."""
    names = sorted(path.relative_to(library).as_posix() for path in library.rglob("*.py"))
    texts: dict[str, list[bytes]] = {"train": [], "select": [], "seal": []}
    for name in names:
        if not LEFT_OUT.intersection(name.split("/")):
            texts[split_of(name)].append((library / name).read_bytes())
    return {split: b"".join(parts) for split, parts in texts.items()}


def main() -> None:
    wanted = {"train": ["train"], "holdout": ["select", "seal"]}.get(" ".join(sys.argv[1:]))
    if wanted is None:
        sys.exit("usage: prepare.py train | holdout")
    texts = corpus(Path(sysconfig.get_path("stdlib")))
    for split in wanted:
        np.save(Path(os.environ["PAWL_SETUP"]) / f"{split}.npy", np.frombuffer(texts[split], dtype=np.uint8))
        print(f"{split}: {len(texts[split]):,} bytes")


if __name__ == "__main__":
    main()
