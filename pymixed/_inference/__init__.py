"""Tests, tables, marginal means, intervals and the bootstrap of fitted models."""
