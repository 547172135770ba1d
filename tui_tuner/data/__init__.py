"""From a source to rows, examples and tokens."""
