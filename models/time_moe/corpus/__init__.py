"""Sequences to pretrain on: Time-300B's binary sets and other formats, normalised and cut into windows."""
