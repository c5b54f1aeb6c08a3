"""Checks of the computer that the policy runs on."""
