// What the page does in the browser alone. Nothing here leaves it but by the page's own questions.
() => {
  const MASK = "[MASK]";
  const MASKS = /\[mask\]|<mask>|_{3,}|(?<![\p{L}\p{N}_])_{1,2}(?![\p{L}\p{N}_])/giu;
  const RECENT = "mlm-recent";
  const MOST_RECENT = 8;
  const area = () => document.querySelector("#mlm-sentence textarea");

  // ---- words that are hidden by a click

  // Behind each mask of the sentence, in their order: the word that was there, null where it is not
  // known, and the words beside it, by which it is found again in a text that was typed into.
  let hidden = [];

  const segmenter = window.Intl?.Segmenter && new Intl.Segmenter(undefined, { granularity: "word" });

  /** The words of a text without masks: [start, word]. */
  const wordsOf = (text) => {
    if (!segmenter)
      return [...text.matchAll(/[\p{L}\p{N}\p{M}]+(?:['’-][\p{L}\p{N}\p{M}]+)*/gu)].map((found) => [found.index, found[0]]);
    const words = [];
    for (const { index, segment, isWordLike } of segmenter.segment(text)) {
      if (!isWordLike) continue;
      const last = words.at(-1);
      const end = last && last[0] + last[1].length;
      // "well-made" and "it’s" are one word, although they are segments of their own.
      if (last && end === index - 1 && "'’-".includes(text[end])) last[1] = text.slice(last[0], index + segment.length);
      else words.push([index, segment]);
    }
    return words;
  };

  /** The sentence in pieces: {start, text, mask: index or null, word: whether it can be hidden}. */
  const piecesOf = (text) => {
    const pieces = [];
    const plain = (start, end) => {
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
    for (const found of text.matchAll(MASKS)) {
      plain(end, found.index);
      pieces.push({ start: found.index, text: found[0], mask: index++ });
      end = found.index + found[0].length;
    }
    plain(end, text.length);
    return pieces;
  };

  const write = (text) => {
    area().value = text;
    area().dispatchEvent(new Event("input", { bubbles: true }));
  };

  /** Write a text whose masks hide these words, in their order. */
  const writeHiding = (text, words) => {
    hidden = besides(text).map((beside, i) => ({ word: words[i], beside }));
    write(text);
  };

  /** What stands beside each mask of a text: a word, a mask or nothing on either side. */
  const besides = (text) => {
    const pieces = piecesOf(text).filter((piece) => piece.word || piece.mask !== undefined);
    const named = (piece) => (piece === undefined ? "" : piece.word ? piece.text : MASK);
    return pieces.flatMap((piece, i) => (piece.word ? [] : [`${named(pieces[i - 1])} ${named(pieces[i + 1])}`]));
  };

  /** The words behind the masks of a text that was typed, pasted or chosen. */
  const found = (text) => {
    const left = [...hidden];
    return besides(text).map((beside) => {
      const at = left.findIndex((known) => known.word && known.beside === beside);
      return at < 0 ? { word: null, beside } : left.splice(at, 1)[0];
    });
  };

  const hide = (text, piece) => {
    const before = piecesOf(text).filter((other) => other.mask !== undefined && other.start < piece.start).length;
    const words = hidden.map((known) => known.word);
    words.splice(before, 0, piece.text);
    writeHiding(text.slice(0, piece.start) + MASK + text.slice(piece.start + piece.text.length), words);
  };

  const bringBack = (text, piece) => {
    const words = hidden.map((known) => known.word);
    const [word] = words.splice(piece.mask, 1);
    writeHiding(text.slice(0, piece.start) + word + text.slice(piece.start + piece.text.length), words);
  };

  const button = (text, piece) => {
    const made = document.createElement("button");
    const known = piece.mask === undefined ? null : hidden[piece.mask].word;
    made.type = "button";
    made.textContent = piece.mask === undefined ? piece.text : known ?? MASK;
    made.setAttribute("aria-pressed", String(piece.mask !== undefined));
    made.title = piece.mask === undefined ? `Hide "${piece.text}"` : known ? `Bring "${known}" back` : "A gap of yours";
    made.disabled = piece.mask !== undefined && !known;
    made.addEventListener("click", () => {
      const number = [...made.parentElement.querySelectorAll("button")].indexOf(made);
      piece.mask === undefined ? hide(text, piece) : bringBack(text, piece);
      showWords(area().value);
      document.querySelectorAll("#mlm-words button")[number]?.focus();
    });
    return made;
  };

  const showWords = (text) => {
    const row = document.querySelector("#mlm-words");
    if (!row || text === row.shown) return;
    const pieces = piecesOf((row.shown = text ?? ""));
    hidden = found(row.shown);
    row.dir = "auto";
    row.replaceChildren(
      ...pieces.map((piece) =>
        piece.word || piece.mask !== undefined ? button(text, piece) : document.createTextNode(piece.text)
      )
    );
  };

  // ---- links that bring back what is on screen

  const LONGEST_LINK = 8000; // characters; what stands before servers cuts longer ones off
  const EMPTY_MEANS = ["other"]; // inputs that say something when they are empty
  const FIRST = { compare: "#mlm-compare", score: "#mlm-score", learn: "#mlm-learn" };
  const opened = new URLSearchParams(location.search);
  let tab = opened.get("tab") ?? "fill";
  const asked = {}; // of each tab the query of its last answer
  const began = new Set([tab]); // tabs that were asked once
  if ([...opened.keys()].some((key) => !key.startsWith("__")))
    asked[tab] = new URLSearchParams([...opened].filter(([key]) => !key.startsWith("__")));

  const remember = (name, names, values) => {
    const query = new URLSearchParams({ tab: name });
    names.forEach((key, i) => {
      if (values[i] === false || values[i] === null || (values[i] === "" && !EMPTY_MEANS.includes(key))) return;
      query.set(key, values[i] === true ? "1" : values[i]);
    });
    asked[name] = query;
    began.add(name);
    if (name === tab) history.replaceState(history.state, "", address());
    if (name === "fill") keep(values[0]);
  };

  const showTab = (name) => {
    tab = name;
    if (asked[name]) history.replaceState(history.state, "", address());
    if (!began.has(name)) document.querySelector(FIRST[name])?.click(); // it answers its example
  };

  /** The number of the next draw; the first time the one that stands there. */
  const nextDraw = (seed) => {
    const given = Math.trunc(Number(seed)) || 0;
    const first = !began.has("learn");
    began.add("learn");
    return first ? given : given < 4294967295 ? given + 1 : 0;
  };

  /** The page's own address with the query of the tab in view; Gradio's own settings stay. */
  const address = () => {
    const url = new URL(location.href);
    const own = [...url.searchParams].filter(([key]) => key.startsWith("__"));
    url.search = new URLSearchParams([...own, ...(asked[tab] ?? new URLSearchParams({ tab }))]);
    if (url.href.length > LONGEST_LINK) url.search = new URLSearchParams([...own, ["tab", tab]]);
    return url;
  };

  const copyLink = async () => {
    const link = document.querySelector("#mlm-link");
    const told = "Copy a link to this";
    const whole = (asked[tab]?.toString().length ?? 0) < LONGEST_LINK - 500;
    if (!whole) link.textContent = "Too long for a link";
    else try {
      await navigator.clipboard.writeText(address().href);
      link.textContent = "Copied";
    } catch {
      window.prompt("Copy this address:", address().href);
    }
    setTimeout(() => (link.textContent = told), 2000);
  };

  // ---- the visitor's last sentences, kept in this browser alone

  const recent = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(RECENT) ?? "[]");
      return Array.isArray(kept) ? kept.filter((text) => typeof text === "string").slice(0, MOST_RECENT) : [];
    } catch {
      return [];
    }
  };

  const keep = (text) => {
    if (typeof text !== "string" || !text.trim() || text.length > 500) return;
    try {
      localStorage.setItem(RECENT, JSON.stringify([text, ...recent().filter((other) => other !== text)].slice(0, MOST_RECENT)));
    } catch {
      return; // a browser that keeps nothing
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

  // ---- sliders that are moved by keys answer as those that are let go of

  const KEYS = /^(Arrow|Page|Home|End)/;
  document.addEventListener("keyup", ({ target, key }) => {
    if (!target.closest?.(".mlm-tools")) return;
    if (target.type === "range" && KEYS.test(key)) target.dispatchEvent(new PointerEvent("pointerup", { bubbles: true }));
    if (target.type === "number" && key === "Enter") target.blur();
  });

  // ---- a batch that was stopped says so: nothing more comes from the server

  const stopped = () => setTimeout(() => { // when what was on its way has come
    const told = document.querySelector("#mlm-batch-answer .mlm-progress");
    if (told) told.textContent = "Stopped. What was filled stands below; Fill all begins anew.";
  }, 800);

  window.mlm = { showWords, remember, showTab, copyLink, arrived, nextDraw, stopped };
}
