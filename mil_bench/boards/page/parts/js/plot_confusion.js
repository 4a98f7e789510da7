// Confusion matrices in the order of the tree, its blocks drawn.

/** The matrix of one method: rows are true classes, shades are shares of a row. */
function confusionTable(board, entry) {
  const names = board.tree.classes[entry.level];
  const blocks = board.tree.blocks[entry.level];
  const title = (i) => board.tree.titles[names[i]] ?? names[i];
  const starts = (i) => i > 0 && blocks[i] !== blocks[i - 1];
  const upper = board.tree.classes[board.tree.levels[0]];
  const grouped = entry.level !== board.tree.levels[0];
  const header = el("tr", {}, el("td", { class: "corner" }, "true ↓  decided →"),
    names.map((name, i) => el("th", { scope: "col", title: title(i),
      class: starts(i) ? "block-left" : null }, name)), el("th", { scope: "col" }, "n"));
  const body = entry.matrix.map((counts, t) => {
    const total = counts.reduce((a, b) => a + b, 0);
    return el("tr", { class: starts(t) ? "block-top" : null },
      el("th", { scope: "row", title: title(t) }, names[t]),
      counts.map((n, d) => confusionCell(n, total, {
        right: t === d, near: blocks[t] === blocks[d], left: starts(d),
        words: `${n} of ${total} slides of ${names[t]} decided as ${names[d]}` })),
      el("td", { class: "total" }, String(total)));
  });
  return el("figure", { class: "confusion" },
    el("figcaption", {}, entry.method, el("span", { class: "muted" },
      ` ${entry.level}, ${entry.source === "direct" ? "own head" : "from the leaves"}`)),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "confusion matrix" },
      el("table", { class: "matrix" },
        el("caption", { class: "unseen" }, `Confusion matrix of ${entry.method}, ${entry.level}`),
        el("thead", {}, grouped ? blockHeader(upper, blocks) : null, header),
        el("tbody", {}, body))));
}

function blockHeader(upper, blocks) {
  const groups = [];
  blocks.forEach((b) => (groups.at(-1)?.b === b ? groups.at(-1).n++ : groups.push({ b, n: 1 })));
  return el("tr", { class: "blocks" }, el("td", {}), groups.map((g, i) =>
    el("th", { scope: "colgroup", colspan: g.n, class: i ? "block-left" : null },
      el("span", {}, upper[g.b]))),
  el("td", {}));
}

function confusionCell(n, total, { right, near, left, words }) {
  const share = total ? n / total : 0;
  const kind = right ? "right" : near ? "near" : "far";
  return el("td", { class: `heat ${kind}${left ? " block-left" : ""}`, title: words,
    style: { "--heat": heat(share) } },
  el("span", { class: n ? "value" : "value zero" }, n ? fixed(100 * share, 0) : "·"),
  n ? el("span", { class: "interval" }, String(n)) : null);
}

/** A share as the percentage of a shade; small shares can still be seen. */
function heat(share) {
  return `${(100 * Math.sqrt(Math.max(0, Math.min(1, share))) * 0.85).toFixed(1)}%`;
}
