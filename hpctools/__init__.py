"""Batch tools for the study of the glass transition on clusters."""

__version__ = "0.1.0"
