"""Instructions: wordings for training, and wordings held out for evaluation.

The unseen wordings use words that training sees, in sentences that it does not.
"""

from __future__ import annotations

import numpy as np

from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND

PLAIN = "go to the {colour} {kind}"

TRAINED = (
    PLAIN,
    "drive to the {colour} {kind}",
    "move to the {kind} that is {colour}",
    "find the {colour} {kind} and stop",
    "please approach the {colour} {kind}",
    "head for the {colour} {kind}",
    "stop at the {colour} {kind}",
    "your goal is the {colour} {kind}",
    "look for the {kind} in {colour} and go there",
    "navigate to the {colour} {kind}",
    "the {colour} {kind}",
    "take me to the {colour} {kind}",
)

# Only in lessons, and not in what a room asks for: the same words in other orders, so that a policy listens to words
# and not to sentences.
LESSONS_ONLY = (
    "please go to the {colour} {kind}",
    "please move to the {kind} in {colour}",
    "please take me to the {kind} that is {colour}",
    "go to the {kind} that is {colour}",
    "go to the {colour} {kind} and stop there",
    "drive to the {kind} in {colour} and stop",
    "navigate to the {kind} that is {colour}",
    "approach the {kind} in {colour}",
    "find the {kind} in {colour} please",
    "move to the {colour} {kind} please",
    "look for the {colour} {kind} and stop",
    "head for the {colour} {kind} and go there",
    "go there and stop at the {colour} {kind}",
    "your goal is the {kind} that is {colour}",
    "take me to the {kind} in {colour}",
    "the {kind} that is {colour}",
    "the {kind} in {colour} please",
)

UNSEEN = (
    "please drive to the {kind} that is {colour}",
    "approach the {colour} {kind} and stop there",
    "head for the {kind} in {colour}",
    "find the {kind} that is {colour} and stop there",
    "look for the {colour} {kind} please",
    "go there: the {colour} {kind}",
)

# Only in the lessons of the towers: a sentence that names one of the two teaches what each word means by itself.
COLOUR_ONLY = (
    "go to the {colour} object",
    "drive to the {colour} thing",
    "find something {colour} and stop",
    "look for what is {colour}",
    "the {colour} one",
)
KIND_ONLY = (
    "go to the {kind}",
    "drive to the {kind}",
    "find a {kind} and stop",
    "look for any {kind}",
    "the {kind}",
)

KIND_WORDS: dict[str, tuple[str, ...]] = {
    "ball": ("ball", "sphere"),
    "cube": ("cube", "block"),
    "cylinder": ("cylinder", "can"),
    "cone": ("cone", "pylon"),
    "pyramid": ("pyramid",),
    "egg": ("egg",),
    "brick": ("brick",),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red",),
    "yellow": ("yellow",),
    "green": ("green",),
    "cyan": ("cyan", "turquoise"),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "orange": ("orange",),
    "pink": ("pink",),
    "white": ("white",),
    "black": ("black",),
}


def sentences(colour: str, kind: str) -> list[str]:
    """Every sentence that training knows about a colour, a kind or a pair; an empty string leaves one open."""
    patterns = (*TRAINED, *LESSONS_ONLY) if colour and kind else COLOUR_ONLY if colour else KIND_ONLY
    return [
        pattern.format(colour=colour_word, kind=kind_word)
        for pattern in patterns
        for colour_word in (COLOUR_WORDS[colour] if colour else ("",))
        for kind_word in (KIND_WORDS[kind] if kind else ("",))
    ]


def instruction(colour: str, kind: str, wording: str, rng: np.random.Generator) -> str:
    """One sentence that names the pair. `wording` is plain, trained or unseen."""
    if wording == "plain":
        return PLAIN.format(colour=colour, kind=kind)
    sentences = TRAINED if wording == "trained" else UNSEEN
    sentence = sentences[int(rng.integers(len(sentences)))]
    kinds, colours = KIND_WORDS[kind], COLOUR_WORDS[colour]
    # The first word of a list is the usual one; a quarter of the sentences uses another.
    kind_word = kinds[int(rng.integers(len(kinds)))] if rng.random() < 0.5 else kinds[0]
    colour_word = colours[int(rng.integers(len(colours)))] if rng.random() < 0.5 else colours[0]
    return sentence.format(colour=colour_word, kind=kind_word)


def named_pair(text: str) -> tuple[str, str] | None:
    """The colour and kind that a sentence names, or None when it names no single pair."""
    words = "".join(letter if letter.isalpha() else " " for letter in text.lower()).split()
    colours = {colour for colour in EVERY_COLOUR for word in COLOUR_WORDS[colour] if word in words}
    kinds = {kind for kind in EVERY_KIND for word in KIND_WORDS[kind] if word in words}
    if len(colours) == 1 and len(kinds) == 1:
        return colours.pop(), kinds.pop()
    return None
