"""The demo: real data with a real fault, from landing to the fix."""
