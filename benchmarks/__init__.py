"""Speed and memory, measured as ratios in one run. Nothing here is a test: these figures belong to a quiet machine."""
