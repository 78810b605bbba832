"""The synthetic world `synth-v1`: users with latent traits whose gold answers have a known ceiling."""
