"""Judging a drive or a policy from recordings: figures, reports, videos. Import what you need from the modules."""
