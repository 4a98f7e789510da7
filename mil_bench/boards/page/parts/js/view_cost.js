// Cost: quality against parameters, time and memory.

VIEWS.cost = {
  title: "Cost",
  has: (board) => Boolean(board.tables.cost),
  draw(board) {
    const table = board.tables.cost;
    if (!table) return [el("p", { class: "none" }, "No cost was measured on this board.")];
    const costs = table.columns.filter((c) => c.better === -1 && c.unit !== "rank" && !c.interval
      && isNumeric(table, c.name));
    const qualities = scoreColumns(table);
    if (!costs.length || !qualities.length) return [tableView(table)];
    const cost = costs.find((c) => c.name === get("x")) ?? costs[0];
    const quality = qualities.find((c) => c.name === get("metric")) ?? qualities[0];
    const plot = paretoPlot(table, cost.name, quality.name);
    return [
      el("section", { class: "panel" },
        el("div", { class: "tools" },
          chooser("cost-x", "Cost", costs.map((c) => [c.name, c.title]), cost.name,
            (v) => set({ x: v })),
          el("span", { class: "legend" }, el("i", { class: "key best" }),
            "no other row is both better and cheaper"),
          svgButton("svg-cost", plot)),
        el("div", { class: "plot-box" }, plot)),
      tableView(table),
    ];
  },
};
