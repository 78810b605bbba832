"""HYDRA: trained judges around a black box."""
