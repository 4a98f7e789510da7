"""Everything that ``mil-bench check`` and ``mil-bench doctor`` report, as findings."""
