"""`python -m pawl`: the same command."""

from __future__ import annotations

from pawl.cli import main

if __name__ == "__main__":
    main()
