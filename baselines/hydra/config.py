"""The knobs of HYDRA, in a file of their own so that they are read without a tensor library."""

from __future__ import annotations

from pydantic import Field

from rpobench.api import EvidenceConfig
from rpobench.models.encoder import EMBEDDED

VERSION = "1"  # of the method: raise it where a default changes


class ChooserConfig(EvidenceConfig):
    """Evidence as everywhere, and how the two judges are fed and trained.

    `shrinkage` and the judges' form were tried out on dev of the synthetic LaMP-2 without a language model, no more.
    """

    retriever: str = "bm25"
    shortlist: int = Field(default=16, ge=1)  # the retriever's best items, which the reranker orders anew
    history: int = Field(default=4, ge=0)  # past items that a user's heads are learned from, one call each
    n: int = Field(default=4, ge=1)  # candidates for a text, one call each; label tasks have their labels
    encoder: str = EMBEDDED
    width: int = Field(default=32, ge=1)
    steps: int = Field(default=200, ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    shrinkage: float = Field(default=1.0, ge=0)  # what a user's own part of a head costs against its rows
