"""Incremental joins over shards that arrive one after another, and their columns on disk."""
