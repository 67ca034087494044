"""The published experiment as one command: every rate, several seeds, and what each result has to be compared with."""
