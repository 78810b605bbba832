"""HYDRA: a judge that reranks the history and a judge that chooses among answers."""
