"""File formats, before any engine sees them: envelopes, headers, record boundaries."""
