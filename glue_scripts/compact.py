"""AWS Glue job `compact`: arguments → the step of the flow → completion record."""

from lake_pipeline.jobs import main

main("compact")
