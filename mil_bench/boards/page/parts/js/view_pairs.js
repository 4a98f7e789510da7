// Pairs: all pairs of methods, and one pair in detail.

VIEWS.pairs = {
  title: "Pairs",
  has: (board) => !ablationTable(board), // its rows are compared with one of them alone
  draw(board) {
    const table = board.tables.pairs;
    if (!table || !table.methods.length) {
      return [el("p", { class: "none" }, "Fewer than two rows of this board can be compared.")];
    }
    const scores = distinct(table, "score");
    const score = scores.includes(get("metric")) ? get("metric") : scores[0];
    const rows = rowsWhere(table, { score });
    const pair = chosenPair(table, rows);
    return [
      el("div", { class: "tools" },
        chooser("metric-pairs", "Score", scores.map((s) => [s, DATA.metrics[s]?.title ?? s]), score,
          (v) => set({ metric: v })),
        el("span", { class: "legend" }, el("i", { class: "key ahead" }), "row is better",
          el("i", { class: "key behind" }), "row is worse", el("i", { class: "key" }),
          "not significant", el("em", {}, "Italic:"), "not confirmed by retraining")),
      pairMatrix(board, table, rows, score, pair),
      pair ? pairDetail(board, table, pair) : null,
      el("h2", {}, "All pairs"),
      tableView(table, { rows }),
      el("p", { class: "note" }, prose(`What retraining can change: ${DATA.retrained}`)),
    ];
  },
};

/** The pair in the address, or the first one. */
function chosenPair(table, rows) {
  const both = rows.map((row) => [cellAt(table, row, "method"), cellAt(table, row, "other")]);
  const pair = [get("a"), get("b")];
  return both.find(([a, b]) => pair.includes(a) && pair.includes(b)) ?? both[0];
}

/** With more methods than this, cells show only the difference. */
const ROOMY = 12;

/** Methods by methods: row minus column, shaded where the difference is significant. */
function pairMatrix(board, table, rows, score, pair) {
  const methods = [...new Set(rows.flatMap((row) =>
    [cellAt(table, row, "method"), cellAt(table, row, "other")]))];
  const at = new Map();
  for (const row of rows) {
    const [a, b] = [cellAt(table, row, "method"), cellAt(table, row, "other")];
    at.set(`${a}\n${b}`, { row, sign: 1 });
    at.set(`${b}\n${a}`, { row, sign: -1 });
  }
  const sizes = rows.map((row) => Math.abs(valueOf(cellAt(table, row, "difference")) ?? 0));
  const most = Math.max(...sizes);
  const better = DATA.metrics[score]?.better ?? 1;
  const dense = methods.length > ROOMY;
  const body = methods.map((a, i) => el("tr", {}, el("th", { scope: "row" }, a),
    methods.map((b, j) => pairCell(table, at.get(`${a}\n${b}`), { a, b, most, better, pair, dense,
      id: `pair-${i}-${j}` }))));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Pairs" },
    el("table", { class: `matrix pairs${dense ? " dense" : ""}` },
      el("caption", { class: "unseen" }, "Difference between two methods: row minus column"),
      el("thead", {}, el("tr", {}, el("td", { class: "corner" }, "row − column"),
        methods.map((b) => el("th", { scope: "col", title: b }, b)))),
      el("tbody", {}, body)));
}

function pairCell(table, entry, { a, b, most, better, pair, dense, id }) {
  if (!entry) return el("td", { class: "heat empty" }, a === b ? "" : "–");
  const cell = cellAt(table, entry.row, "difference");
  const value = isNumber(cell) ? cell[0] ?? null : null;
  if (value === null) return el("td", { class: "heat empty" }, "–");
  const { low, high } = details(cell);
  const say = (v) => signed(entry.sign * v, inPercent(table, "difference", entry.row));
  const decision = String(cellAt(table, entry.row, "decision") ?? "");
  const significant = /^(better|worse)/.test(decision);
  const kind = !significant ? "" : entry.sign * value * better > 0 ? " ahead" : " behind";
  const ends = low === null ? ""
    : entry.sign > 0 ? `[${say(low)}, ${say(high)}]` : `[${say(high)}, ${say(low)}]`;
  const words = `${a} minus ${b}: ${[say(value), ends].join(" ").trim()}, `
    + `${significant ? "significant" : "not significant"}`
    + `${decision.endsWith("trained") ? ", not confirmed by retraining" : ""}`;
  const chosen = pair && pair.includes(a) && pair.includes(b);
  return el("td", { class: `heat${kind}${chosen ? " chosen" : ""}`, title: words,
    style: { "--heat": `${(18 + 62 * (Math.abs(value) / (most || 1))).toFixed(1)}%` } },
  el("button", { type: "button", class: "plain", id, "aria-label": `${words}; show this pair`,
    onclick: () => set({ a, b }) },
  el("span", { class: `value${decision.endsWith("trained") ? " weak" : ""}` }, say(value)),
  dense || !ends ? null : el("span", { class: "interval" }, ends)));
}

/** A difference with its sign. */
function signed(value, percent) {
  const text = percent ? fixed(100 * value, 1) : fixed(value, 3);
  return Number(value) > 0 && !/^0[.0]*$/.test(text) ? `+${text}` : text;
}
