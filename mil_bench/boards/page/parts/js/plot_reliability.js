// Reliability: accuracy against confidence.

/** Bins of one or two methods; a perfect method lies on the diagonal. */
function reliabilityPlot(table, series, title) {
  const width = Math.min(520, room(520));
  const height = Math.min(width, 460);
  const bins = series.flatMap(({ rows }) => rows);
  const confidences = bins.map((row) => valueOf(cellAt(table, row, "confidence")));
  const [least] = extent(confidences);
  const axis = (label, span) => ({ span, label: `${label} (%)`, say: (v) => fixed(100 * v, 0) });
  const { node, sx, sy } = plane(width, height,
    axis("Confidence", [Math.min(least, 0.9) - 0.02, 1.01]), axis("Accuracy", [0, 1.01]), title);
  const from = Math.min(least, 0.9) - 0.02;
  node.append(svg("line", { class: "zero", x1: sx(from), y1: sy(from), x2: sx(1), y2: sy(1) }));
  series.forEach(({ rows, kind }) => {
    const points = rows.map((row) => ({ row, x: valueOf(cellAt(table, row, "confidence")),
      cell: cellAt(table, row, "accuracy") }))
      .filter((p) => p.x !== null && isNumber(p.cell) && p.cell[0] != null);
    node.append(svg("path", { class: `curve ${kind}`, d: points.map((p, i) =>
      `${i ? "L" : "M"}${sx(p.x)} ${sy(p.cell[0])}`).join("") }));
    node.append(...points.flatMap((p) => reliabilityBin(table, p, kind, sx, sy)));
  });
  return node;
}

function reliabilityBin(table, { row, x, cell }, kind, sx, sy) {
  const { low, high } = details(cell);
  const slides = valueOf(cellAt(table, row, "slides"));
  const line = { x1: sx(x), x2: sx(x) };
  return [
    low === null ? null
      : svg("line", { class: `interval-line ${kind}`, ...line, y1: sy(low), y2: sy(high) }),
    svg("circle", { class: `dot ${kind}`, cx: sx(x), cy: sy(cell[0]), r: 4 },
      svg("title", {}, `confidence ${fixed(100 * x, 1)}: ${spoken(table, "accuracy", row)}; `
        + `${slides} slides`)),
  ].filter(Boolean);
}
