"""What every other folder may use: errors, the loop, signals, paths."""
