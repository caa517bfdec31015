"""The answer of the Score tab as HTML: pure functions, no Gradio.

The card of a word is part of its element and is shown by CSS alone, while the word is pointed at,
tapped or reached by the keyboard. All words and cards stand in a table as well.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mlm.inference.fill_mask import FillMask
from mlm.inference.scoring import Guess, ScoredWord, TextScore
from mlm.playground.tabs import render

# Shades of surprise, absolute: a word has the first whose probability it reaches.
SHADES = (
    (0.5, "50&nbsp;% and more"),
    (0.1, "10 to 50&nbsp;%"),
    (0.01, "1 to 10&nbsp;%"),
    (0.001, "0.1 to 1&nbsp;%"),
    (0.0, "below 0.1&nbsp;%"),
)
LONGEST_SHOWN = 40  # characters of a word on its card; the text and the table have it whole
LARGEST_PERPLEXITY = 10_000_000  # that is shown in full
HINT = "Point at a word, or tap it, to see its probability and what the model would have written."


@dataclass(frozen=True)
class Scored:
    """One text of an answer: its score, or the sentence that says why there is none."""

    label: str  # "First text", "Second text" or ""
    score: TextScore | str
    seconds: float


def answer(model: FillMask, texts: Sequence[Scored]) -> str:
    """One text, or two side by side below a sentence on which of them is the more natural."""
    several = " mlm-several" if len(texts) > 1 else ""
    columns = "".join(column(model, text, i) for i, text in enumerate(texts))
    return f'{verdict(texts)}<div class="mlm-columns{several}">{columns}</div>'


def verdict(texts: Sequence[Scored]) -> str:
    """Which text the model finds more natural; "" unless two were scored."""
    scores = [text.score for text in texts if isinstance(text.score, TextScore)]
    if len(scores) != 2:
        return ""
    one, other = (perplexity(score.perplexity) for score in scores)
    if one == other:
        told = f"The model finds both texts <b>equally natural</b>: a pseudo-perplexity of {one}"
    else:
        order = sorted((0, 1), key=lambda i: scores[i].perplexity)
        better, worse = ((one, other)[i] for i in order)
        told = (
            f"The model finds the <b>{escape(texts[order[0]].label.lower())}</b> more natural: "
            f"a pseudo-perplexity of {better} against {worse}"
        )
    return (
        f'<div class="mlm-verdict" role="status"><p>{told}.</p>'
        f'<p class="mlm-hint">{_how_to_compare(*scores)}</p></div>'
    )


def _how_to_compare(one: TextScore, other: TextScore) -> str:
    if one.num_tokens == other.num_tokens:
        told = (
            f"Both have {_tokens(one)}, so their pseudo-log-likelihoods may be compared "
            f"as well: {nats(one.pseudo_log_likelihood)} and {nats(other.pseudo_log_likelihood)}."
        )
    else:
        told = (
            f"They have {_tokens(one)} and {_tokens(other)}: texts of different length "
            "are compared by their perplexity, a mean; the pseudo-log-likelihood falls with every "
            "token."
        )
    left_out = " Words that were left out do not count." if one.note or other.note else ""
    return told + left_out


def _tokens(score: TextScore) -> str:
    return f"{score.num_tokens} token{'' if score.num_tokens == 1 else 's'}"


def column(model: FillMask, text: Scored, index: int = 0) -> str:
    """Who answers, the numbers of the whole text, its words, and the table of them."""
    score = text.score
    if isinstance(score, str):
        seconds, body = None, render.problem(score)
    else:
        seconds = text.seconds
        body = (
            f"{render.note(score.note)}{facts(score)}{shaded(score, index)}{LEGEND}{table(score)}"
        )
    name = escape(text.label or f"Score by {model.name}")
    return (
        f'<article class="mlm-column" aria-label="{name}">'
        f"{render.who(model, text.label, seconds)}{body}</article>"
    )


def facts(score: TextScore) -> str:
    """The numbers of the whole text, each with what it says."""
    surprise = perplexity(score.perplexity)
    return (
        '<dl class="mlm-facts">'
        f"<div><dt>Pseudo-perplexity</dt><dd><b>{surprise}</b> At each token the model is as unsure"
        f" as among {surprise} equally likely ones. 1 is certain; lower is more natural.</dd></div>"
        f"<div><dt>Pseudo-log-likelihood</dt><dd><b>{nats(score.pseudo_log_likelihood)}</b> The "
        f"logarithms of the probabilities of its {_tokens(score)}, added up.</dd></div></dl>"
    )


def shaded(score: TextScore, index: int) -> str:
    """The text, each word shaded and with its card; `index` keeps two texts apart."""
    parts, end = [], 0
    for i, word in enumerate(score.words):
        parts += [escape(score.text[end : word.start]), _word(word, f"mlm-card-{index}-{i}")]
        end = word.end
    parts.append(escape(score.text[end:]))
    return (
        f'<div class="mlm-scored"><p class="mlm-scored-text" dir="auto">{"".join(parts)}</p>'
        f'<p class="mlm-card-hint">{HINT}</p></div>'
    )


def _word(word: ScoredWord, card_id: str) -> str:
    return (
        f'<span class="mlm-scored-word"><span class="{_shade(word)}" tabindex="0" '
        f'aria-describedby="{card_id}">{escape(word.text)}</span>'
        f'<span class="mlm-card" role="tooltip" id="{card_id}" dir="ltr">{_card(word)}'
        "</span></span>"
    )


def _shade(word: ScoredWord) -> str:
    if word.probability is None:
        return "mlm-shade mlm-shade-unknown"
    probability = word.probability
    shade = next(i for i, (least, _) in enumerate(SHADES) if probability >= least)
    return f"mlm-shade mlm-shade-{shade}"


def _card(word: ScoredWord) -> str:
    return (
        f'<span class="mlm-card-word"><bdi>{_cut(word.text)}</bdi></span> {_told(word)} '
        f'<span class="mlm-card-guesses">The model would have written: {_guesses(word.guesses)}'
        "</span>"
    )


def _told(word: ScoredWord) -> str:
    if word.probability is None:
        return "<span>not in the model’s vocabulary, left out of the sums</span>"
    pieces = f", in {word.num_tokens} pieces" if word.num_tokens > 1 else ""
    return (
        f"<span>probability {render.percent(word.probability)}, "
        f"surprise {bits(word)}&nbsp;bits{pieces}</span>"
    )


def _guesses(guesses: Sequence[Guess]) -> str:
    return ", ".join(
        f"<b><bdi>{_cut(guess.word)}</bdi></b> {render.percent(guess.probability)}"
        for guess in guesses
    )


def _cut(word: str) -> str:
    """A word for a card, escaped; what would be invisible is named."""
    return render.word(word if len(word) <= LONGEST_SHOWN else f"{word[: LONGEST_SHOWN - 1]}…")


def _legend() -> str:
    samples = " ".join(
        f'<span class="mlm-shade mlm-shade-{i}">{name}</span>' for i, (_, name) in enumerate(SHADES)
    )
    return f'<p class="mlm-shades">Probability of the word: {samples}</p>'


LEGEND = _legend()


def table(score: TextScore) -> str:
    """Every word with what its card says, behind a click."""
    rows = "".join(_row(word) for word in score.words)
    return (
        '<details class="mlm-all-words"><summary>All words as a table</summary><table>'
        "<caption>Every word of the text, its probability and its surprise in bits.</caption>"
        '<thead><tr><th scope="col">Word</th><th scope="col">Probability</th>'
        '<th scope="col">Bits</th><th scope="col">The model would have written</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _row(word: ScoredWord) -> str:
    known = word.probability is not None
    probability = render.percent(word.probability or 0.0) if known else "not in its vocabulary"
    return (
        f'<tr><th scope="row"><bdi>{render.word(word.text)}</bdi></th><td>{probability}</td>'
        f"<td>{bits(word) if known else ''}</td><td>{_guesses(word.guesses)}</td></tr>"
    )


def bits(word: ScoredWord) -> str:
    """-log2 of the probability: how many tosses of a coin would surprise as much."""
    return f"{abs((word.log_probability or 0.0) / math.log(2)):,.1f}"


def nats(log_probability: float) -> str:
    """-149.09 -> −149.1 nats."""
    return f"{log_probability:,.1f}&nbsp;nats".replace("-", "−")


def perplexity(value: float) -> str:
    """9.6, 812, 12,400."""
    if value >= LARGEST_PERPLEXITY:
        return f"more than {LARGEST_PERPLEXITY:,}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
