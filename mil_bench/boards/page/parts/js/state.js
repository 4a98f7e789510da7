// What is looked at stands in the address, so that a link shows the same.

const LASTING = ["board", "view", "level", "metric", "intervals"];

/** A word of the state, or `otherwise`. */
function get(key, otherwise = "") {
  return new URLSearchParams(location.hash.slice(1)).get(key) ?? otherwise;
}

/** All words that begin with `prefix`, without it. */
function getAll(prefix) {
  const all = [...new URLSearchParams(location.hash.slice(1))];
  const mine = all.filter(([key]) => key.startsWith(prefix));
  return new Map(mine.map(([key, value]) => [key.slice(prefix.length), value]));
}

/** Change words; `null` or `""` removes one. The view is drawn again. */
function set(changes) {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") words.delete(key);
    else words.set(key, value);
  }
  history.replaceState(null, "", `#${words}`);
  redraw();
}

/** The address of another view: what concerns only this one is dropped. */
function address(changes) {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const key of [...words.keys()]) if (!LASTING.includes(key)) words.delete(key);
  for (const [key, value] of Object.entries(changes)) words.set(key, value);
  return `#${words}`;
}
