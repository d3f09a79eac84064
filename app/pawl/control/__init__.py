"""Look, decide, act: what brings a loop forward, and when."""
