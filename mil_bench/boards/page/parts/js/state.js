// The state of the page is in its address, so that a link shows the same view.

const LASTING = ["board", "view", "level", "metric", "intervals"];

/** One entry of the state, or `otherwise`. */
function get(key, otherwise = "") {
  return new URLSearchParams(location.hash.slice(1)).get(key) ?? otherwise;
}

/** All entries whose key begins with `prefix`; keys without the prefix. */
function getAll(prefix) {
  const all = [...new URLSearchParams(location.hash.slice(1))];
  const mine = all.filter(([key]) => key.startsWith(prefix));
  return new Map(mine.map(([key, value]) => [key.slice(prefix.length), value]));
}

/** Change entries and redraw the page; `null` or `""` removes an entry. */
function set(changes) {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") words.delete(key);
    else words.set(key, value);
  }
  history.replaceState(null, "", `#${words}`);
  redraw();
}

/** The address of another view: entries that concern only the current one are dropped. */
function address(changes) {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const key of [...words.keys()]) if (!LASTING.includes(key)) words.delete(key);
  for (const [key, value] of Object.entries(changes)) words.set(key, value);
  return `#${words}`;
}
