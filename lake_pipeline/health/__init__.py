"""How datasets are doing, and who is told: breakers, freshness, run records, incidents, metrics.

Everything is kept as documents in the zone ops. Nothing here knows Dagster, AWS or a clock: callers bring
the time, and sinks that can send.
"""
