"""Plots of fitted models with matplotlib: what each shows is data that a solution computed, handed in as arrays."""
