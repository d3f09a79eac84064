"""Pawl: the Karpathy loop on a GitHub repository, one experiment to a pull request."""

from __future__ import annotations

__version__ = "0.1.0"
