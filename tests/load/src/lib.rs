//! Load generator: journal, workload, stats, verify. WRITTEN BY THE INTEGRATOR RIGHT NOW: leave tests/load to him.
