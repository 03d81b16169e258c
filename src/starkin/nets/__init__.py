"""Small torch blocks, likelihoods and losses."""
