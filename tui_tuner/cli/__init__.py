"""The command line: thin faces of the same jobs that the screens start."""
