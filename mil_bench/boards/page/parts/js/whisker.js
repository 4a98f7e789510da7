// Intervals drawn in cells, on one scale per column.

const WHISKER = { width: 92, height: 12 };

/** Column name -> scale of its values and intervals. */
function whiskerScale(table, name, rows) {
  const cells = rows.map((row) => cellAt(table, row, name)).filter(isNumber);
  if (!cells.some((cell) => cell[1] != null)) return null;
  const ends = extent(cells.flatMap((cell) => [cell[0], cell[1], cell[2]]), 0.03);
  const scale = linear(ends, [3, WHISKER.width - 3]);
  scale.zero = ends[0] < 0 && ends[1] > 0 ? scale(0) : null;
  return scale;
}

/** The interval of a number as a line with its value as a dot. */
function whisker(cell, scale) {
  const { low, high, mark } = details(cell);
  if (low === null || cell[0] == null) return null;
  const middle = WHISKER.height / 2;
  const line = { x1: scale(low), x2: scale(high), y1: middle, y2: middle };
  return svg("svg", { class: `whisker ${mark}`, "aria-hidden": "true", ...WHISKER },
    svg("line", { x1: 0, x2: WHISKER.width, y1: middle, y2: middle, class: "whisker-track" }),
    scale.zero === null ? null : svg("line", { x1: scale.zero, x2: scale.zero, y1: 1,
      y2: WHISKER.height - 1, class: "whisker-zero" }),
    svg("line", { ...line, class: "whisker-line" }),
    svg("circle", { cx: scale(cell[0]), cy: middle, r: 3, class: "whisker-dot" }));
}
