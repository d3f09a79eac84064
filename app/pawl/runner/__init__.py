"""What makes a machine a runner: registers runners just in time, keeps them apart, and says how they are.

`plan` decides, as values; `supervisor` acts; `enclosure` is the wall between the supervisor, GitHub's program and jobs.
"""
