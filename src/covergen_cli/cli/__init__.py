"""The command line: the only part that prints, shows progress or exits."""
