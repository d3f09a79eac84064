"""What `pawl check` can say of a configuration without a runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pawl.core.config import Config
from pawl.core.config_file import ConfigError, parse_config
from pawl.core.loop_check import LoopCheck
from pawl.core.remarks import Files, Places, Remark
from pawl.core.workflow_check import workflow_remarks


@dataclass(frozen=True)
class Setup:
    """A configuration with what was found about it."""

    config: Config | None
    """None where it cannot be used."""
    remarks: tuple[Remark, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether nothing must be mended."""
        return all(remark.level != "error" for remark in self.remarks)


def check_setup(text: str, files: Files, workflows: Mapping[str, str | None]) -> Setup:
    """Everything that is to be said of a configuration, errors first.

    Args:
        text: the configuration.
        files: of the commit that it is in.
        workflows: texts of that commit's workflows, by path.
    """
    try:
        config = parse_config(text)
    except ConfigError as error:
        return Setup(None, remarks_of(error))
    places = Places(text)
    found = list(workflow_remarks(workflows, config, files.unsaved))
    for loop, rules in config.loops.items():
        found += LoopCheck(files, places, loop, rules).remarks()
    order = ("error", "warning", "advice")
    return Setup(config, tuple(sorted(found, key=lambda remark: order.index(remark.level))))


def remarks_of(error: ConfigError) -> tuple[Remark, ...]:
    """What is wrong with a configuration that cannot be used, at its lines."""
    return tuple(
        Remark(
            "error",
            f"{problem.key}: {problem.message}" if problem.key else problem.message,
            file=problem.file,
            line=problem.line,
            column=problem.column,
        )
        for problem in error.problems
    )
