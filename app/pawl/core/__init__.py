"""What is true: pure values and rules. No I/O, no clock, no randomness of its own, no third-party client."""
