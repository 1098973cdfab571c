"""Two-stage training (arXiv:2410.05464, Algorithm 1): one large-batch first step, then output weights online."""
