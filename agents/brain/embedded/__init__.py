"""The embedded brain: a dialogue without a language model, from the agent's knowledge."""
