"""The answer of the learning tab as HTML: a training step on a sentence, and the model's training.

Pure functions, without Gradio.
"""

import math
from collections.abc import Iterator, Mapping

from mlm.checkpoint.record.curve_svg import training_curve
from mlm.checkpoint.record.reading import figures_of_training
from mlm.inference.fill_mask import FillMask
from mlm.inference.masked_example import ExampleToken, MaskedExample, Prediction
from mlm.playground.tabs import render

Metrics = Mapping[str, float]

FATES = {  # of a chosen token: sign, name, description
    "mask": ("▢", "hidden", "80 of 100 chosen tokens are hidden behind the mask"),
    "random": ("⇄", "exchanged", "10 become a word drawn by chance"),
    "same": ("=", "left", "10 stay as they are, so that no token can be taken for granted"),
}
METRICS = (  # key in training.json, name, format
    ("perplexity", "masked-token perplexity", "{:,.1f}"),
    ("top1", "right token ranked first", "{:.1%}"),
    ("top5", "right token among the first five", "{:.1%}"),
)
MAX_TOKEN = 30  # characters of a token on its tile


def answer(model: FillMask, example: MaskedExample) -> str:
    """Return the steps from the sentence to its loss, then the model's own curve and metrics."""
    return (
        f'<article class="mlm-column" aria-label="How it learns">{render.model_header(model)}'
        f"{render.note(example.note)}{_steps(example)}{_tiles(example)}{_loss(model, example)}"
        f"{_table(example)}</article>"
        f'<article class="mlm-column" aria-label="How this model was trained">'
        f"{_training(model)}</article>"
    )


def _steps(example: MaskedExample) -> str:
    words = [token for token in example.tokens if not token.special]
    chosen = len(example.predictions)
    percent = f"{100 * example.mlm_probability:.0f}&nbsp;%"
    fates = "".join(
        f'<li><span class="mlm-fate mlm-fate-{fate}" aria-hidden="true">{sign}</span> '
        f"{description}</li>"
        for fate, (sign, _, description) in FATES.items()
    )
    return (
        '<ol class="mlm-steps">'
        f"<li>Your sentence is cut into tokens: {len(words)} that can be chosen, and two marks of "
        "where it begins and ends, which never are.</li>"
        f"<li>About {percent} of them are chosen by chance: here {chosen}."
        f'<ul class="mlm-fates">{fates}</ul></li>'
        "<li>The model sees the changed sentence and predicts for each chosen token what it "
        "was.</li>"
        "<li>The less probable it found the right one, the greater the loss. A training step "
        "changes the weights a little so that it becomes smaller.</li></ol>"
    )


def _tiles(example: MaskedExample) -> str:
    tiles = "".join(_tile(token) for token in example.tokens)
    return f'<div class="mlm-tiles" dir="auto" aria-hidden="true">{tiles}</div>'


def _tile(token: ExampleToken) -> str:
    text = f'<span class="mlm-token"><bdi>{_token_html(token.token)}</bdi></span>'
    if token.special:
        return f'<div class="mlm-tile mlm-special">{text}</div>'
    prediction = token.prediction
    if prediction is None:
        return f'<div class="mlm-tile">{text}</div>'
    sign, name, _ = FATES[prediction.fate]
    return (
        f'<div class="mlm-tile mlm-chosen">{text}'
        f'<span class="mlm-fate mlm-fate-{prediction.fate}">{sign} {name}</span>'
        f'<span class="mlm-shown"><bdi>{_token_html(prediction.shown)}</bdi></span>'
        f"{_guess(prediction)}"
        f'<span class="mlm-cost">{render.track(prediction.probability)}'
        f"<span>right: {render.percent(prediction.probability)}</span> "
        f"<span>loss {prediction.loss:.2f}</span></span></div>"
    )


def _guess(prediction: Prediction) -> str:
    word, score = prediction.guesses[0]
    kind, sign = ("right", "✓") if prediction.rank == 0 else ("wrong", "✗")
    return (
        f'<span class="mlm-guess mlm-{kind}">{sign} <bdi>{_token_html(word)}</bdi> '
        f"{render.percent(score)}</span>"
    )


def _loss(model: FillMask, example: MaskedExample) -> str:
    if example.loss is None:
        return (
            '<p class="mlm-loss">This draw chose none of the tokens, as happens to short '
            "sentences: nothing would be learnt from it. Draw again.</p>"
        )
    losses = " + ".join(f"{p.loss:.2f}" for p in example.predictions)
    count = len(example.predictions)
    mean = f"({losses}) / {count} = " if 1 < count <= 12 else ""
    return (
        f'<p class="mlm-loss">Loss of this sentence: {mean}<b>{example.loss:.2f}</b> nats a chosen '
        f"token. Guessing blindly among {model.vocab_size:,} tokens would be "
        f"{math.log(model.vocab_size):.2f}.</p>"
    )


def _table(example: MaskedExample) -> str:
    rows = "".join(_row(token) for token in example.tokens if token.prediction)
    return (
        "<details><summary>The chosen tokens as a table</summary>"
        '<div class="mlm-scroll" tabindex="0" role="region" aria-label="The chosen tokens">'
        '<table><thead><tr><th scope="col">token</th><th scope="col">became</th>'
        '<th scope="col">the model saw</th><th scope="col">the model guessed</th>'
        '<th scope="col">right one</th><th scope="col">loss</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _row(token: ExampleToken) -> str:
    prediction = token.prediction
    assert prediction is not None
    guesses = ", ".join(
        f"<bdi>{_token_html(word)}</bdi> {render.percent(score)}"
        for word, score in prediction.guesses
    )
    return (
        f'<tr><th scope="row"><bdi>{_token_html(token.token)}</bdi></th>'
        f"<td>{FATES[prediction.fate][1]}</td><td><bdi>{_token_html(prediction.shown)}</bdi></td>"
        f"<td>{guesses}</td><td>{render.percent(prediction.probability)}, "
        f"rank {prediction.rank + 1:,}</td><td>{prediction.loss:.2f}</td></tr>"
    )


def _training(model: FillMask) -> str:
    """Return the model's own curve and metrics, as far as its training.json has them."""
    record = figures_of_training(model.training)
    curve = training_curve(record.get("loss_curve", []), record.get("validation_curve", []))
    metrics = _metrics_table(record.get("metrics", {}))
    if not curve and not metrics:
        return "<h3>How this model was trained</h3><p>It comes without a record of that.</p>"
    return f"<h3>How this model was trained</h3>{curve}{metrics}"


def _metrics_table(metrics: Mapping[str, Metrics]) -> str:
    before, after = (metrics.get(side, {}) for side in ("before", "after"))
    rows = "".join(_metric_rows(before, after))
    if not rows:
        return ""
    return (
        '<table class="mlm-before-after"><thead><tr><th scope="col">on held-out texts</th>'
        f'<th scope="col">before</th><th scope="col">after</th></tr></thead><tbody>{rows}</tbody>'
        "</table>"
    )


def _metric_rows(before: Metrics, after: Metrics) -> Iterator[str]:
    for key, name, template in METRICS:
        if key in before and key in after:
            yield (
                f'<tr><th scope="row">{name}</th><td>{template.format(before[key])}</td>'
                f"<td>{template.format(after[key])}</td></tr>"
            )


def _token_html(token: str) -> str:
    return render.short_word(token, MAX_TOKEN)
