"""Model files: fits without their rows, as plain values in which nothing can execute."""
