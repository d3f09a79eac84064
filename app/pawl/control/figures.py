"""Figures for Prometheus: what this process does, and where its loops stand. No name of a repository is in any of them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Figures:
    """The figures of one process. Several may live side by side: each has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.deliveries = Counter(
            "pawl_webhooks", "Webhook deliveries received.", ["event", "outcome"], registry=self._registry
        )
        self.redelivered = Counter(
            "pawl_webhooks_redelivered",
            "Lost deliveries that GitHub was asked for again.",
            registry=self._registry,
        )
        self.looks = Histogram(
            "pawl_look_seconds",
            "Seconds of one look at a repository, its actions included.",
            registry=self._registry,
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100),
        )
        self.failed_looks = Counter(
            "pawl_looks_failed",
            "Looks that ended in an error, by its kind.",
            ["kind"],
            registry=self._registry,
        )
        self.actions = Counter(
            "pawl_actions", "What was done on GitHub, by kind.", ["action"], registry=self._registry
        )
        self.proposals = Counter(
            "pawl_proposals",
            "Proposals made, by proposer and outcome.",
            ["proposer", "outcome"],
            registry=self._registry,
        )
        self.dollars = Counter(
            "pawl_proposal_dollars", "US dollars that proposals have cost, as far as prices are known.",
            registry=self._registry,
        )  # fmt: skip
        self.repositories = Gauge(
            "pawl_repositories", "Repositories on which the App is installed.", registry=self._registry
        )
        self.waiting = Gauge(
            "pawl_looks_waiting", "Repositories that are due for a look.", registry=self._registry
        )

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._registry)
