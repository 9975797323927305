"""AWS Glue job `curate`: arguments → the step of the flow → completion record."""

from lake_pipeline.jobs import main

main("curate")
