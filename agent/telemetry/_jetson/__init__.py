"""The parts of the source `jetson`: pure parsers, thin reads."""
