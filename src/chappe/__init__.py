"""Chappe: a self-hosted SMS platform."""
