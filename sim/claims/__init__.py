"""The ledger of claims: each bound and each result of the paper, what was measured about it, and the verdict."""
