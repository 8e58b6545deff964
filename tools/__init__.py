"""What writes this repository's own pages: tables of README and docs, the cost model."""
