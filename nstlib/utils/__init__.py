"""Helpers that don't depend on a method: read and write pictures, check arguments, measure memory, cut into tiles."""
