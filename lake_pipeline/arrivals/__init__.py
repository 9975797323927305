"""Arrivals: files that land start their own runs, and none is ever missed or run twice.

Without Dagster and without AWS. Events are read (`events`) and placed (`places`), wait in a room
(`waiting`) that is remembered from tick to tick (`journal`), and leave it as requests for runs (`requests`).
A `tick` does this for a queue, a `look` at the listing for a lake without one or beside it.
"""
