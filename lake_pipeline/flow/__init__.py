"""What happens to a partition: inventory, validate, curate, publish. No Dagster here."""
