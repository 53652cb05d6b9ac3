"""Speed as ratios: our way and a baseline, measured in one run on the same data, never asserted as seconds."""
