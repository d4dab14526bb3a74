"""The parts of the benchmark: each measures, and returns a section of the report."""
