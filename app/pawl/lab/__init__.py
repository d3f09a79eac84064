"""What runs beside the GPU: the overlay tree, the sandboxes, the host's clock, the evaluator, and the record of it all."""

from pawl.lab.errors import MeasureError
from pawl.lab.measure import measure
from pawl.lab.options import Measured, Options
from pawl.lab.request_file import read_request
from pawl.lab.sandbox import Stop
from pawl.lab.workplace import default_cache

__all__ = ["MeasureError", "Measured", "Options", "Stop", "default_cache", "measure", "read_request"]
