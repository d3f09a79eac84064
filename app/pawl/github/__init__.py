"""The only place that talks to GitHub: observe a loop as a snapshot, and act on a repository, idempotently."""
