"""Every sentence a person reads on GitHub: Jinja2 templates, and the typed functions that prepare their values.

The room is pure: no clock, no network, no files but its own templates. What a model, a log, a comment or a candidate wrote
goes through `pawl.messages.quoting` before it reaches a page.
"""

from pawl.messages.explaining import explain
from pawl.messages.results import results_tsv

__all__ = ["explain", "results_tsv"]
