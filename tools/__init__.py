"""What writes this repository's own pages: tables of the README and docs, the cost model."""
