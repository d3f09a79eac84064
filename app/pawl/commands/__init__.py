"""What each command of `pawl` does, apart from how it is called. Modules here are imported when their command runs."""
