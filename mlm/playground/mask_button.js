// Puts the mask in place of the selection, of the word that the cursor stands in, or at the cursor.
(text) => {
  const mask = MASK_TOKEN;
  const area = document.querySelector("#mlm-sentence textarea");
  let start = area.selectionStart;
  let end = area.selectionEnd;
  text = area.value;

  const inWord = (i) => i >= 0 && i < text.length && /[\p{L}\p{N}\p{M}'’-]/u.test(text[i]);
  const isSpace = (i) => i < 0 || i >= text.length || /\s/.test(text[i]);
  const insideMask = [...text.matchAll(/\[mask\]|<mask>|_{3,}/giu)].some(
    (found) => found.index < end && start < found.index + found[0].length
  );
  if (insideMask) return text;

  if (start === end && inWord(start - 1) && inWord(start)) {
    while (inWord(start - 1)) start--;
    while (inWord(end)) end++;
  }
  while (start < end && isSpace(start)) start++;
  while (end > start && isSpace(end - 1)) end--;

  const before = start === end && inWord(start - 1) ? " " : "";
  const after = start === end && inWord(end) ? " " : "";
  const cursor = start + before.length + mask.length;
  setTimeout(() => {
    area.focus();
    area.setSelectionRange(cursor, cursor);
  }, 60);
  return text.slice(0, start) + before + mask + after + text.slice(end);
}
