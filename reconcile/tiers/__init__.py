"""The matcher's tiers, strongest first; each adds its answers to `state.Found`."""
