"""Fitted models as tables: tidy data frames, and several models side by side."""
