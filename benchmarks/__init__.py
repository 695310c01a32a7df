"""Benchmarks: each module measures one thing and has a function ``measure``; ``run`` runs one of them."""
