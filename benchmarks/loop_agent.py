"""A coding agent in the least sense: it turns one number of the packing example, and says so."""

import random
import re
from pathlib import Path

FILE = Path("pack.py")


def main() -> None:
    """Give a dial another value."""
    source = FILE.read_text()
    value = f"{random.uniform(0.02, 0.4):.5f}"
    FILE.write_text(re.sub(r"^STEP = [0-9.]+", f"STEP = {value}", source, count=1, flags=re.MULTILINE))
    print(f"STEP = {value} lets circles settle another way")


if __name__ == "__main__":
    main()
