"""What a call does in its process: finds the function, calls it, tells what came of it."""
