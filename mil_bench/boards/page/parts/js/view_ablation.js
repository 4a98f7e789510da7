// Ablation: the difference of every row to the reference, then all numbers.

const VIEWS = {};

VIEWS.ablation = {
  title: "Ablation",
  has: (board) => Boolean(ablationTable(board)),
  draw(board) {
    const table = ablationTable(board);
    const scores = distinct(table, "score");
    const score = scores.includes(get("metric")) ? get("metric") : scores[0];
    const rows = rowsWhere(table, { score });
    const titles = scores.map((s) => [s, DATA.metrics[s]?.title ?? s]);
    const plot = ablationPlot(table, rows, DATA.metrics[score]?.title ?? score);
    return [
      el("section", { class: "panel" },
        el("div", { class: "tools" },
          chooser("metric-ablation", "Score", titles, score, (v) => set({ metric: v })),
          el("span", { class: "legend" }, el("i", { class: "key ahead" }), "better",
            el("i", { class: "key behind" }), "worse", el("i", { class: "key" }),
            "not significant"),
          plot ? svgButton("svg-ablation", plot) : null),
        plot ? el("div", { class: "plot-box" }, plot) : null),
      tableView(table, { rows }),
    ];
  },
};

/** The table of components, or of the values of settings, if the board is an ablation. */
function ablationTable(board) {
  return board.tables.ablation ?? board.tables.sensitivity;
}

function ablationPlot(table, rows, title) {
  const compared = rows.filter((row) => valueOf(cellAt(table, row, "difference")) !== null);
  const lines = compared.map((row) => ({ text: table.methods[row], mark: decided(table, row),
    cell: cellAt(table, row, "difference"), words: spoken(table, "difference", row) }));
  const percent = compared.length > 0 && inPercent(table, "difference", compared[0]);
  return differencePlot(lines, `difference of ${title}`, percent);
}
