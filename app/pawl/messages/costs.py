"""What thinking has cost, in words: tokens, US dollars, and who answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pawl.core.config_parts import Money
from pawl.core.ledger import AnyLine, Outcome, OutcomeLine, SpendLine
from pawl.core.spending import Spending, day_of, month_of, spending_of, spent_since
from pawl.messages.figures import count, duration
from pawl.messages.quoting import Safe, code

MODELS = 4
"""Models that a sentence names."""


def money_words(money: float | None) -> Safe:
    """``$0.21``; small sums to two digits that say something."""
    if money is None:
        return Safe("unknown")
    return Safe(f"${money:,.2f}" if money >= 0.1 or money == 0 else f"${money:.2g}")


def tokens_words(tokens_in: float, cached: float, tokens_out: float) -> Safe:
    """``52,000 tokens in (40,000 of them cached), 2,100 out``."""
    kept = f" ({cached:,.0f} of them cached)" if cached else ""
    return Safe(f"{tokens_in:,.0f} tokens in{kept}, {tokens_out:,.0f} out")


def models_words(models: Sequence[str]) -> Safe:
    """Exact ids, as code."""
    shown = [code(model) for model in models[:MODELS]]
    more = [f"{len(models) - MODELS} more"] if len(models) > MODELS else []
    return Safe(", ".join([*shown, *more]))


def cost_words(spending: Spending) -> Safe:
    """What proposals took, in half a sentence."""
    tokens = tokens_words(spending.tokens_in, spending.tokens_cached, spending.tokens_out)
    if spending.unpriced == spending.proposals:
        money = "at an unknown price"
    else:
        least = "at least " if spending.unpriced else ""
        money = f"for {least}{money_words(spending.total)}"
    return Safe(f"{tokens}, {money}, in {duration(spending.seconds)}")


def experiment_cost(lines: Iterable[AnyLine], experiment: int) -> Safe | None:
    """What it took to propose an experiment, proposals that no edit came of included; none where nothing is known."""
    spent = [line for line in lines if isinstance(line, SpendLine) and line.experiment == experiment]
    if not spent:
        return None
    total = spending_of(spent, _time(spent[-1]))
    return Safe(f"{count(total.proposals, 'proposal')}, {cost_words(total)}")


@dataclass(frozen=True)
class CostRow:
    """One row of the table of what proposing costs."""

    what: Safe
    tokens_in: Safe
    tokens_out: Safe
    money: Safe


def cost_rows(lines: Sequence[AnyLine]) -> list[CostRow]:
    """Tokens and money for each proposal, experiment and kept improvement, and by day, month and in all.

    The day and the month are those of the ledger's last line, so that the same ledger always reads alike.
    """
    spent = [line for line in lines if isinstance(line, SpendLine)]
    if not spent:
        return []
    now = last_time(lines)
    total = spending_of(lines, now)
    proposed = len({line.experiment for line in spent if line.proposed})
    merged = sum(isinstance(line, OutcomeLine) and line.outcome is Outcome.MERGED for line in lines)
    without = f", {total.without_edit} without an edit" if total.without_edit else ""
    rows = [_row(Safe(f"each of {count(total.proposals, 'proposal')}{without}"), total, total.proposals)]
    if proposed:
        rows.append(_row(Safe(f"each of {count(proposed, 'experiment')}"), total, proposed))
    if merged:
        rows.append(_row(Safe(f"each of {count(merged, 'kept improvement')}"), total, merged))
    for name, since in ((f"{now:%Y-%m-%d} (UTC)", day_of(now)), (f"{now:%Y-%m}", month_of(now))):
        rows.append(_row(Safe(name), spending_of([line for line in spent if _time(line) >= since], now), 1))
    return [*rows, _row(Safe("**in all**"), total, 1)]


def unpriced_words(lines: Sequence[AnyLine]) -> Safe | None:
    """Proposals whose price is unknown; none if there are none."""
    spent = [line for line in lines if isinstance(line, SpendLine)]
    unpriced = sum(line.money is None for line in spent)
    return Safe(f"{unpriced} of {count(len(spent), 'proposal')}") if unpriced else None


def cap_words(money: Money, lines: Sequence[AnyLine]) -> list[Safe]:
    """Every cap with what is left of it: on the day, and in the month, of the ledger's last line."""
    told = []
    if money.per_proposal is not None:
        told.append(Safe(f"{money_words(money.per_proposal)} a proposal"))
    now = last_time(lines) if lines else None
    for cap, name, since in ((money.per_day, "day", day_of), (money.per_month, "month", month_of)):
        if cap is not None:
            spent = spent_since(lines, since(now)) if now else 0.0
            told.append(
                Safe(f"{money_words(cap)} a {name}, {money_words(max(0.0, cap - spent))} of it are left")
            )
    return told


def last_time(lines: Sequence[AnyLine]) -> datetime:
    """When the last line was written, UTC."""
    return _time(lines[-1])


def _row(what: Safe, total: Spending, share: int) -> CostRow:
    """A row of these sums, divided by so many."""
    known = total.unpriced < total.proposals or not total.proposals
    return CostRow(
        what,
        Safe(f"{total.tokens_in / share:,.0f}"),
        Safe(f"{total.tokens_out / share:,.0f}"),
        money_words(total.total / share if known else None),
    )


def _time(line: AnyLine) -> datetime:
    return datetime.fromisoformat(line.at)
