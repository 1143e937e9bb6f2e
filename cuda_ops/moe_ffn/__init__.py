"""Sparse SwiGLU experts: each token goes through the few that its router chose."""

from .op import moe_ffn

__all__ = ["moe_ffn"]
