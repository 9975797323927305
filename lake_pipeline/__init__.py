"""lake_pipeline: a governed data lake on S3 as one Dagster code location."""
