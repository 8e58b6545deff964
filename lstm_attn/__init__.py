"""How far back can a sequence model remember, and what does that cost?

Nothing is imported here, so that `lstm_attn.report` reads run folders without JAX and
`lstm_attn.ops` comes without Flax. Take what you need: `from lstm_attn import ops, modules, tasks`.
"""

__version__ = "0.1.0"
