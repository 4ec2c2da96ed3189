"""Diagnostics of a fitted model: influence, collinearity, dimensions, other optimisers, smaller models."""
