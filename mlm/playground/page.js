// What the page does in the browser alone. Nothing here leaves it but by the page's own questions.
() => {
  const MASK = "[MASK]";
  const MASKS = /\[mask\]|<mask>|_{3,}|(?<![\p{L}\p{N}_])_{1,2}(?![\p{L}\p{N}_])/giu;
  const RECENT = "mlm-recent";
  const MOST_RECENT = 8;
  const area = () => document.querySelector("#mlm-sentence textarea");

  // ---- words that are hidden by a click

  let hidden = []; // the word behind each mask of the sentence, in their order; null: not known

  const segmenter = window.Intl?.Segmenter && new Intl.Segmenter(undefined, { granularity: "word" });

  /** The words of a text without masks: [start, word]. */
  const wordsOf = (text) => {
    if (!segmenter || /[\p{L}\p{N}]['’-]/u.test(text))
      return [...text.matchAll(/[\p{L}\p{N}\p{M}]+(?:['’-][\p{L}\p{N}\p{M}]+)*/gu)].map((found) => [found.index, found[0]]);
    return [...segmenter.segment(text)].filter((part) => part.isWordLike).map((part) => [part.index, part.segment]);
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

  const hide = (text, piece) => {
    const before = piecesOf(text).filter((other) => other.mask !== undefined && other.start < piece.start).length;
    hidden.splice(before, 0, piece.text);
    write(text.slice(0, piece.start) + MASK + text.slice(piece.start + piece.text.length));
  };

  const bringBack = (text, piece) => {
    const [word] = hidden.splice(piece.mask, 1);
    write(text.slice(0, piece.start) + word + text.slice(piece.start + piece.text.length));
  };

  const button = (text, piece) => {
    const made = document.createElement("button");
    const known = piece.mask === undefined ? null : hidden[piece.mask];
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
    const masks = pieces.filter((piece) => piece.mask !== undefined).length;
    if (hidden.length !== masks) hidden = Array(masks).fill(null); // masks were typed or deleted
    row.dir = "auto";
    row.replaceChildren(
      ...pieces.map((piece) =>
        piece.word || piece.mask !== undefined ? button(text, piece) : document.createTextNode(piece.text)
      )
    );
  };

  // ---- links that bring back what is on screen

  let tab = "fill";
  const asked = {}; // of each tab the query of its last answer

  const remember = (name, names, values) => {
    const query = new URLSearchParams({ tab: name });
    names.forEach((key, i) => {
      if (values[i] !== "" && values[i] !== false && values[i] !== null) query.set(key, values[i] === true ? "1" : values[i]);
    });
    asked[name] = query;
    showTab(name);
    if (name === "fill") keep(values[0]);
  };

  const showTab = (name) => {
    tab = name;
    if (asked[name]) history.replaceState(history.state, "", address());
  };

  /** The page's own address with the query of the tab in view; Gradio's own settings stay. */
  const address = () => {
    const url = new URL(location.href);
    const own = [...url.searchParams].filter(([key]) => key.startsWith("__"));
    url.search = new URLSearchParams([...own, ...(asked[tab] ?? new URLSearchParams({ tab }))]);
    return url;
  };

  const copyLink = async () => {
    const link = document.querySelector("#mlm-link");
    const told = link.textContent;
    try {
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

  window.mlm = { showWords, remember, showTab, copyLink, arrived };
}
