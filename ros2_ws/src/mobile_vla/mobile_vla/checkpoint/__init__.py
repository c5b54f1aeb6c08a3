"""The checkpoint file: read strictly, described by a card, converted, proven."""
