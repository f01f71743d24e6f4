"""Starting processes, reading what they say, and ending all that they have started."""
