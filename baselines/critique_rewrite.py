"""Draft, critique against the evidence, rewrite: RPO's three steps by prompt alone."""

from __future__ import annotations

from rpobench.baselines.self_rewrite import SelfRewrite


class CritiqueRewrite(SelfRewrite):
    """Self-Refine's feedback step (arXiv 2303.17651) before the rewrite; the critique is kept as the trajectory."""

    name = "critique-rewrite"
    critique = True
