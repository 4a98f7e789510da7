// Calibration: are decisions right as often as their confidence states?

VIEWS.calibration = {
  title: "Calibration",
  has: (board) => Boolean(board.tables.calibration),
  draw(board) {
    const table = board.tables.calibration;
    const levels = distinct(table, "level");
    const level = levels.includes(get("level")) ? get("level") : levels.at(-1);
    const sources = distinctWhere(table, { level }, "source");
    const source = sources.includes(get("source")) ? get("source") : sources[0];
    const rows = rowsWhere(table, { level, source });
    const scores = scoreColumns(table);
    return [
      el("div", { class: "tools" }, placeChoosers(levels, level, sources, source)),
      el("div", { class: "side-by-side" },
        reliabilityPanel(board, level, source, rows.map((row) => table.methods[row])),
        forestPanel(table, "calibration", scores, rows, 680)),
      tableView(table, { rows }),
      extraTable(board, "thresholds"),
    ];
  },
};

function reliabilityPanel(board, level, source, methods) {
  const table = board.tables.reliability;
  if (!table || !methods.length) return null;
  const [first, second] = chosenMethods(board, methods);
  const series = [[first, "first"], [second, "second"]].filter(([method]) => method)
    .map(([method, kind]) => ({ kind, rows: rowsWhere(table, { method, level, source }) }));
  const plot = reliabilityPlot(table, series, `Reliability of ${first}`);
  const options = methods.map((m) => [m, m]);
  return el("section", { class: "narrow" },
    el("h2", {}, "Reliability"),
    el("div", { class: "tools" },
      el("i", { class: "key first" }), chooser("reliability-a", "Method", options, first,
        (v) => set({ a: v })),
      second ? el("i", { class: "key second" }) : null,
      chooser("reliability-b", "compared with",
        [["", "none"], ...options.filter(([v]) => v !== first)], second, (v) => set({ b: v })),
      svgButton("svg-reliability", plot)),
    plot,
    el("p", { class: "note" }, "Below the dotted line a method is overconfident. ",
      prose(sentence(table.note))));
}
