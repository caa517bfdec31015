"""The answer of the Score tab as HTML. Pure functions, without Gradio.

The card of a word is part of its element; CSS shows it while the word is hovered, tapped or
focused. A table lists all words with the contents of their cards.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mlm.inference.fill_mask import FillMask
from mlm.inference.scoring import Guess, ScoredWord, TextScore
from mlm.playground.tabs import render

# Shades of surprise: a word has the first shade whose probability it reaches.
SHADES = (
    (0.5, "50&nbsp;% and more"),
    (0.1, "10 to 50&nbsp;%"),
    (0.01, "1 to 10&nbsp;%"),
    (0.001, "0.1 to 1&nbsp;%"),
    (0.0, "below 0.1&nbsp;%"),
)
MAX_CARD_WORD = 40  # characters of a word on its card; the text and the table have it whole
MAX_PERPLEXITY = 10_000_000  # larger ones are shown as "more than"
HINT = "Point at a word, or tap it, to see its probability and what the model would have written."


@dataclass(frozen=True)
class ScoreColumn:
    """One text of an answer: its score, or the message of the error in its place."""

    label: str  # "First text", "Second text" or ""
    score: TextScore | str
    seconds: float


def answer(model: FillMask, texts: Sequence[ScoreColumn]) -> str:
    """Return one text, or two side by side below the verdict on which is more natural."""
    several = " mlm-several" if len(texts) > 1 else ""
    columns = "".join(column(model, text, i) for i, text in enumerate(texts))
    return f'{verdict(texts)}<div class="mlm-columns{several}">{columns}</div>'


def verdict(texts: Sequence[ScoreColumn]) -> str:
    """Return which text the model finds more natural; "" unless two were scored."""
    scores = [text.score for text in texts if isinstance(text.score, TextScore)]
    if len(scores) != 2:
        return ""
    one, other = (format_perplexity(score.perplexity) for score in scores)
    if one == other:
        sentence = (
            f"The model finds both texts <b>equally natural</b>: a pseudo-perplexity of {one}"
        )
    else:
        order = sorted((0, 1), key=lambda i: scores[i].perplexity)
        better, worse = ((one, other)[i] for i in order)
        sentence = (
            f"The model finds the <b>{escape(texts[order[0]].label.lower())}</b> more natural: "
            f"a pseudo-perplexity of {better} against {worse}"
        )
    return (
        f'<div class="mlm-verdict" role="status"><p>{sentence}.</p>'
        f'<p class="mlm-hint">{_how_to_compare(*scores)}</p></div>'
    )


def _how_to_compare(one: TextScore, other: TextScore) -> str:
    if one.num_tokens == other.num_tokens:
        advice = (
            f"Both have {_tokens(one)}, so their pseudo-log-likelihoods may be compared "
            f"as well: {format_nats(one.pseudo_log_likelihood)} and "
            f"{format_nats(other.pseudo_log_likelihood)}."
        )
    else:
        advice = (
            f"They have {_tokens(one)} and {_tokens(other)}: texts of different length "
            "are compared by their perplexity, a mean; the pseudo-log-likelihood falls with every "
            "token."
        )
    left_out = " Words that were left out do not count." if one.note or other.note else ""
    return advice + left_out


def _tokens(score: TextScore) -> str:
    return f"{score.num_tokens} token{'' if score.num_tokens == 1 else 's'}"


def column(model: FillMask, text: ScoreColumn, index: int = 0) -> str:
    """Return the model's name, the numbers of the whole text, its words, and their table."""
    score = text.score
    if isinstance(score, str):
        seconds, body = None, render.problem(score)
    else:
        seconds = text.seconds
        body = (
            f"{render.note(score.note)}{facts(score)}{shaded_text(score, index)}{LEGEND}"
            f"{table(score)}"
        )
    name = escape(text.label or f"Score by {model.name}")
    return (
        f'<article class="mlm-column" aria-label="{name}">'
        f"{render.model_header(model, text.label, seconds)}{body}</article>"
    )


def facts(score: TextScore) -> str:
    """Return the numbers of the whole text, each with an explanation."""
    surprise = format_perplexity(score.perplexity)
    likelihood = format_nats(score.pseudo_log_likelihood)
    return (
        '<dl class="mlm-facts">'
        f"<div><dt>Pseudo-perplexity</dt><dd><b>{surprise}</b> At each token the model is as unsure"
        f" as among {surprise} equally likely ones. 1 is certain; lower is more natural.</dd></div>"
        f"<div><dt>Pseudo-log-likelihood</dt><dd><b>{likelihood}</b> The "
        f"logarithms of the probabilities of its {_tokens(score)}, added up.</dd></div></dl>"
    )


def shaded_text(score: TextScore, index: int) -> str:
    """Return the text, each word shaded and with its card; `index` keeps the ids of texts apart."""
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
    text = render.short_word(word.text, MAX_CARD_WORD)
    return (
        f'<span class="mlm-card-word"><bdi>{text}</bdi></span> {_card_facts(word)} '
        f'<span class="mlm-card-guesses">The model would have written: {_guesses(word.guesses)}'
        "</span>"
    )


def _card_facts(word: ScoredWord) -> str:
    if word.probability is None:
        return "<span>not in the model’s vocabulary, left out of the sums</span>"
    pieces = f", in {word.num_tokens} pieces" if word.num_tokens > 1 else ""
    return (
        f"<span>probability {render.percent(word.probability)}, "
        f"surprise {format_bits(word)}&nbsp;bits{pieces}</span>"
    )


def _guesses(guesses: Sequence[Guess]) -> str:
    return ", ".join(
        f"<b><bdi>{render.short_word(guess.word, MAX_CARD_WORD)}</bdi></b> "
        f"{render.percent(guess.probability)}"
        for guess in guesses
    )


def _legend() -> str:
    samples = " ".join(
        f'<span class="mlm-shade mlm-shade-{i}">{name}</span>' for i, (_, name) in enumerate(SHADES)
    )
    return f'<p class="mlm-shades">Probability of the word: {samples}</p>'


LEGEND = _legend()


def table(score: TextScore) -> str:
    """Return a collapsed table of all words with the contents of their cards."""
    rows = "".join(_row(word) for word in score.words)
    return (
        '<details class="mlm-all-words"><summary>All words as a table</summary><table>'
        "<caption>Every word of the text, its probability and its surprise in bits.</caption>"
        '<thead><tr><th scope="col">Word</th><th scope="col">Probability</th>'
        '<th scope="col">Bits</th><th scope="col">The model would have written</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _row(word: ScoredWord) -> str:
    if word.probability is None:
        probability, bits = "not in its vocabulary", ""
    else:
        probability, bits = render.percent(word.probability), format_bits(word)
    return (
        f'<tr><th scope="row"><bdi>{render.word(word.text)}</bdi></th><td>{probability}</td>'
        f"<td>{bits}</td><td>{_guesses(word.guesses)}</td></tr>"
    )


def format_bits(word: ScoredWord) -> str:
    """Return a word's surprise in bits as text: -log2 of its probability."""
    return f"{abs((word.log_probability or 0.0) / math.log(2)):,.1f}"


def format_nats(log_probability: float) -> str:
    """Return a log-probability as text: -149.09 -> −149.1 nats."""
    return f"{log_probability:,.1f}&nbsp;nats".replace("-", "−")


def format_perplexity(value: float) -> str:
    """Return a perplexity as text: 9.6, 812, 12,400."""
    if value >= MAX_PERPLEXITY:
        return f"more than {MAX_PERPLEXITY:,}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
