"""What is fast, and how many requests it takes. Each module has `measure() -> list[Figure]`."""
