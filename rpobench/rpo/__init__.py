"""RPO: draft, reflect, rewrite (arXiv 2511.05286)."""
