"""The datasets: a folder each, with a contract and a defs.yaml."""
