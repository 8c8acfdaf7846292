"""Joins over shards that arrive one after the other, and their columns on disk."""
