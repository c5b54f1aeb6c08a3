"""The computer the policy runs on: what works there, what fits, how it feels."""
