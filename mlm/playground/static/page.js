// The part of the page that runs in the browser. It sends nothing to the server by itself.
() => {
  const MASK = "[MASK]";
  // As `find_masks` in filling.py: of these spellings, the first that a text holds counts.
  const MASKS = [/\[mask\]|<mask>/gi, /_{3,}/g, /(?<!\S)_{1,2}(?=[.,;:!?…]*(?:\s|$))/g];
  const RECENT = "mlm-recent";
  const MAX_RECENT = 8;
  const area = () => document.querySelector("#mlm-sentence textarea");

  // ---- hide a word by a click

  // For each mask of the sentence, from left to right: {word, beside}. word is the word that it
  // hides, null if unknown. beside is its neighbours, which identify the mask after the visitor has
  // typed into the text.
  let hidden = [];

  const segmenter = window.Intl?.Segmenter && new Intl.Segmenter(undefined, { granularity: "word" });

  /** Return the words of a text without masks: [start, word]. */
  const wordsOf = (text) => {
    if (!segmenter)
      return [...text.matchAll(/[\p{L}\p{N}\p{M}]+(?:['’-][\p{L}\p{N}\p{M}]+)*/gu)].map((match) => [match.index, match[0]]);
    const words = [];
    for (const { index, segment, isWordLike } of segmenter.segment(text)) {
      if (!isWordLike) continue;
      const last = words.at(-1);
      const end = last && last[0] + last[1].length;
      // Join "well-made" and "it’s", which the segmenter splits.
      if (last && end === index - 1 && "'’-".includes(text[end])) last[1] = text.slice(last[0], index + segment.length);
      else words.push([index, segment]);
    }
    return words;
  };

  /** Return the matches of a text's masks. */
  const masksOf = (text) => MASKS.map((spelling) => [...text.matchAll(spelling)]).find((found) => found.length) ?? [];

  /** Return the pieces of a sentence: {start, text, mask: index of the mask, word: true for a word}. */
  const piecesOf = (text) => {
    const pieces = [];
    const addPlain = (start, end) => {
      let at = start;
      for (const [index, word] of wordsOf(text.slice(start, end))) {
        const begin = start + index;
        if (begin > at) pieces.push({ start: at, text: text.slice(at, begin) });
        pieces.push({ start: begin, text: word, word: true });
        at = begin + word.length;
      }
      if (at < end) pieces.push({ start: at, text: text.slice(at, end) });
    };
    let end = 0, index = 0;
    for (const match of masksOf(text)) {
      addPlain(end, match.index);
      pieces.push({ start: match.index, text: match[0], mask: index++ });
      end = match.index + match[0].length;
    }
    addPlain(end, text.length);
    return pieces;
  };

  const write = (text) => {
    area().value = text;
    area().dispatchEvent(new Event("input", { bubbles: true }));
  };

  /** Write a text whose masks hide these words, from left to right. */
  const writeHiding = (text, words) => {
    hidden = neighbours(text).map((beside, i) => ({ word: words[i], beside }));
    write(text);
  };

  /** Return for each mask of a text its neighbours: a word, a mask or nothing on each side. */
  const neighbours = (text) => {
    const pieces = piecesOf(text).filter((piece) => piece.word || piece.mask !== undefined);
    const nameOf = (piece) => (piece === undefined ? "" : piece.word ? piece.text : MASK);
    return pieces.flatMap((piece, i) => (piece.word ? [] : [`${nameOf(pieces[i - 1])} ${nameOf(pieces[i + 1])}`]));
  };

  /** Return the hidden words of a text that was typed, pasted or chosen. */
  const matchHidden = (text) => {
    const remaining = [...hidden];
    return neighbours(text).map((beside) => {
      const at = remaining.findIndex((known) => known.word && known.beside === beside);
      return at < 0 ? { word: null, beside } : remaining.splice(at, 1)[0];
    });
  };

  const hide = (text, piece) => {
    const before = piecesOf(text).filter((other) => other.mask !== undefined && other.start < piece.start).length;
    const words = hidden.map((known) => known.word);
    words.splice(before, 0, piece.text);
    const mask = masksOf(text)[0]?.[0] ?? MASK; // masks of another spelling would be left as text
    writeHiding(text.slice(0, piece.start) + mask + text.slice(piece.start + piece.text.length), words);
  };

  const restore = (text, piece) => {
    const words = hidden.map((known) => known.word);
    const [word] = words.splice(piece.mask, 1);
    writeHiding(text.slice(0, piece.start) + word + text.slice(piece.start + piece.text.length), words);
  };

  const wordButton = (text, piece) => {
    const button = document.createElement("button");
    const known = piece.mask === undefined ? null : hidden[piece.mask].word;
    button.type = "button";
    button.textContent = piece.mask === undefined ? piece.text : known ?? MASK;
    button.setAttribute("aria-pressed", String(piece.mask !== undefined));
    button.title = piece.mask === undefined ? `Hide "${piece.text}"` : known ? `Bring "${known}" back` : "A gap of yours";
    button.disabled = piece.mask !== undefined && !known;
    button.addEventListener("click", () => {
      const number = [...button.parentElement.querySelectorAll("button")].indexOf(button);
      piece.mask === undefined ? hide(text, piece) : restore(text, piece);
      showWords(area().value);
      document.querySelectorAll("#mlm-words button")[number]?.focus();
    });
    return button;
  };

  const showWords = (text) => {
    const row = document.querySelector("#mlm-words");
    if (!row || text === row.shown) return;
    const pieces = piecesOf((row.shown = text ?? ""));
    hidden = matchHidden(row.shown);
    row.dir = "auto";
    row.replaceChildren(
      ...pieces.map((piece) =>
        piece.word || piece.mask !== undefined ? wordButton(text, piece) : document.createTextNode(piece.text)
      )
    );
  };

  // ---- links that restore what is on screen

  const MAX_LINK = 8000; // characters; proxies cut longer addresses off
  const KEPT_EMPTY = ["other"]; // inputs whose empty value has a meaning
  const FIRST_BUTTONS = { compare: "#mlm-compare", score: "#mlm-score", learn: "#mlm-learn" };
  const opened = new URLSearchParams(location.search);
  let tab = opened.get("tab") ?? "fill";
  const queries = {}; // for each tab the query of its last answer
  const answered = new Set([tab]); // tabs with an answer
  if ([...opened.keys()].some((key) => !key.startsWith("__")))
    queries[tab] = new URLSearchParams([...opened].filter(([key]) => !key.startsWith("__")));

  const remember = (name, names, values) => {
    const query = new URLSearchParams({ tab: name });
    names.forEach((key, i) => {
      if (values[i] === false || values[i] === null || (values[i] === "" && !KEPT_EMPTY.includes(key))) return;
      query.set(key, values[i] === true ? "1" : values[i]);
    });
    queries[name] = query;
    answered.add(name);
    if (name === tab) history.replaceState(history.state, "", address());
    if (name === "fill") storeRecent(values[0]);
  };

  const showTab = (name) => {
    tab = name;
    if (queries[name]) history.replaceState(history.state, "", address());
    if (!answered.has(name)) document.querySelector(FIRST_BUTTONS[name])?.click(); // answers its example
  };

  /** Return the number of the next draw; the first time, the number in the field. */
  const nextDraw = (seed) => {
    const given = Math.trunc(Number(seed)) || 0;
    const first = !answered.has("learn");
    answered.add("learn");
    return first ? given : given < 4294967295 ? given + 1 : 0;
  };

  /** Return the page's address with the query of the current tab, and Gradio's own settings. */
  const address = () => {
    const url = new URL(location.href);
    const own = [...url.searchParams].filter(([key]) => key.startsWith("__"));
    url.search = new URLSearchParams([...own, ...(queries[tab] ?? new URLSearchParams({ tab }))]);
    if (url.href.length > MAX_LINK) url.search = new URLSearchParams([...own, ["tab", tab]]);
    return url;
  };

  const copyLink = async () => {
    const link = document.querySelector("#mlm-link");
    const label = "Copy a link to this";
    const fits = (queries[tab]?.toString().length ?? 0) < MAX_LINK - 500;
    if (!fits) link.textContent = "Too long for a link";
    else try {
      await navigator.clipboard.writeText(address().href);
      link.textContent = "Copied";
    } catch {
      window.prompt("Copy this address:", address().href);
    }
    setTimeout(() => (link.textContent = label), 2000);
  };

  // ---- the visitor's last sentences, stored in this browser only

  const recent = () => {
    try {
      const stored = JSON.parse(localStorage.getItem(RECENT) ?? "[]");
      return Array.isArray(stored) ? stored.filter((text) => typeof text === "string").slice(0, MAX_RECENT) : [];
    } catch {
      return [];
    }
  };

  const storeRecent = (text) => {
    if (typeof text !== "string" || !text.trim() || text.length > 500) return;
    try {
      localStorage.setItem(RECENT, JSON.stringify([text, ...recent().filter((other) => other !== text)].slice(0, MAX_RECENT)));
    } catch {
      return; // a browser without storage
    }
    showRecent();
  };

  const showRecent = () => {
    const row = document.querySelector("#mlm-recent");
    if (!row) return;
    const chips = recent().map((text) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.dir = "auto";
      chip.textContent = text;
      chip.addEventListener("click", () => { write(text); document.querySelector("#mlm-fill").click(); });
      return chip;
    });
    const forget = document.createElement("button");
    forget.type = "button";
    forget.className = "mlm-forget";
    forget.textContent = "Forget these";
    forget.addEventListener("click", () => { localStorage.removeItem(RECENT); showRecent(); });
    const label = document.createElement("p");
    label.textContent = "Your last sentences, kept in this browser only";
    row.replaceChildren(...(chips.length ? [label, ...chips, forget] : []));
  };

  const arrived = (text) => { showWords(text); showRecent(); };

  // ---- answer when a slider is moved by a key, as when it is released

  const KEYS = /^(Arrow|Page|Home|End)/;
  document.addEventListener("keyup", ({ target, key }) => {
    if (!target.closest?.(".mlm-tools")) return;
    if (target.type === "range" && KEYS.test(key)) target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
    if (target.type === "number" && key === "Enter") target.blur();
  });

  // ---- a notice that a batch was stopped, because the server sends nothing more

  const stopped = () => setTimeout(() => { // after the updates that are still on their way
    const progress = document.querySelector("#mlm-batch-answer .mlm-progress");
    if (progress) progress.textContent = "Stopped. The rows filled so far are below; Fill all starts again.";
  }, 800);

  window.mlm = { showWords, remember, showTab, copyLink, arrived, nextDraw, stopped };
}
