"""What the report says about its method, in plain text."""

from __future__ import annotations


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.strip().split("\n\n"))


METHOD = _paragraphs(
    """
Test loss. The function that training minimises, on pairs that were never trained on: mean squared error of what the
frozen image model predicts. Noise and times depend on the seed and the pair alone, and the times of a pair fall evenly
over the whole range. Draws of one pair are averaged first; intervals are over pairs.

Use of the audio. The same cover, noise and times, but the tokens of another song of the test part (no song stays with
its cover), the null condition, or the mean tokens of training songs. The p-value flips the signs of the pairs'
differences at random, two-sided; the interval is Student's. The audio counts as used when p is at most 0.05 and the
interval lies above 0. An adapter that does not listen passes this less than one time in twenty.

Finding the song. Songs with equal losses share their ranks, so that an adapter that does not listen scores chance.
Shares have Wilson's interval, ranks that of the bootstrap over covers; the p-value of the mean rank deals songs out to
covers at random.

What is seen. Lightness, saturation, contrast, warmth, busyness, uprightness and hardness of the covers, as covergen
generate draws them, against energy, mode, tempo, brightness, density and percussiveness of the music. That energy,
mode and brightness match colour is what studies of listeners found (Palmer, Schloss, Xu and Prado-León, PNAS 2013;
Whiteford et al., i-Perception 2018); the others are conventions of this project. Spearman's rank correlation, interval
by bootstrap over songs.
"""
)

LIMITS = _paragraphs(
    """
The loss says whether the audio helps to predict the covers of this data set. It does not say whether people find that a
cover fits; that takes a survey.

A small gap can be certain and yet mean little to the eye. Look at the covers and the correlations too.

The test part is a sample of this data set. Other music may fare otherwise.

The matches of sound and colour are averages over listeners of a few studies, not a truth about a song.

Perceptual hash and latent find copies of whole covers, not borrowed parts.
"""
)
